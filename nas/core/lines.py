"""JSON-lines files: whole lines or none; a line that a kill cut off is dropped; a full disk is one sentence."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import ZeronasError

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["LineFile", "Lock", "Tail", "append_shared", "each_line", "lock", "unsealed", "whole_lines"]

_PATIENCE = 60.0  # seconds that a shared file's lock, held while a few lines are written, is waited for


class Lock:
    """A lock file that this process holds until ``close``, or until the process ends, however it ends."""

    def __init__(self, held: BaseFileLock) -> None:
        self._held = held

    def close(self) -> None:
        """Lets another process have it; the file stays."""
        self._held.release()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def lock(path: Path, patience: float = 0.0) -> Lock | None:
    """Returns the lock at ``path``, or None where another one holds it for longer than ``patience`` seconds.

    Raises:
        ZeronasError: the file cannot be made or opened.
    """
    from filelock import FileLock, Timeout

    held = FileLock(path, thread_local=False)  # whichever thread closes it
    try:
        held.acquire(timeout=patience, poll_interval=0.02)
    except Timeout:
        return None
    except OSError as error:
        raise ZeronasError(
            f"The lock file '{path}' cannot be opened ({error.strerror}); remove it, or choose another folder."
        ) from None
    return Lock(held)


def whole_lines(path: Path, mend: bool = False) -> list[bytes]:
    """Returns the lines of a journal, none where it is not there; a last one that a kill cut off is left out.

    Args:
        mend: remove such a line from the file too, so that the next one stands alone.

    Raises:
        ZeronasError: the file cannot be read, or not mended.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if mend and whole < len(content):
            os.truncate(path, whole)
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be read ({error.strerror}); choose another folder.") from None
    return content[:whole].splitlines()


def each_line(path: Path) -> Iterator[bytes]:
    """Yields the lines of a journal without their ends, none where it is not there; one that a kill cut off is removed.

    A file of any size takes the memory of one line.

    Raises:
        ZeronasError: the file cannot be read, or not mended.
    """
    try:
        if not path.exists():
            return
        whole = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    os.truncate(path, whole)
                    return
                whole += len(line)
                yield line[:-1]
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be read ({error.strerror}); choose another folder.") from None


_HEAD = 1024  # first bytes of a file, by which one that was written anew is known


class Tail:
    """Reads a journal that another process may be writing: whole lines, each once, and never changes the file.

    A last line without its end is left for the next look.

    Attributes:
        restarts: how often the file was found to be another one than before, and was read from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restarts = 0
        self._offset = 0
        self._head = b""

    def lines(self) -> Iterator[bytes]:
        """Yields the lines that were added since the last look, without their ends; none where there is no file.

        Raises:
            ZeronasError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                head = file.read(_HEAD)
                if not head.startswith(self._head[: self._offset]) or os.fstat(file.fileno()).st_size < self._offset:
                    self.restarts += 1
                    self._offset = 0
                self._head = head
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    yield line[:-1]
        except FileNotFoundError:
            return
        except OSError as error:
            raise ZeronasError(f"'{self.path}' cannot be read ({error.strerror}).") from None


#: what ends a sealed line: the CRC-32 of what stands before it
_SEAL = b',"crc":"'
_SEALED = len(_SEAL) + 8 + len(b'"}')


def _sealed(record: bytes) -> bytes:
    return b'%s%s%08x"}' % (record[:-1], _SEAL, zlib.crc32(record[:-1]))


def unsealed(line: bytes) -> bytes | None:
    """Returns a sealed line without its seal and its last brace, None where it has none.

    Raises:
        ValueError: the line is not what was sealed.
    """
    if line[-_SEALED:-10] != _SEAL:
        return None
    record = line[:-_SEALED]
    if line[-10:-2] != b"%08x" % zlib.crc32(record):
        raise ValueError("the checksum is another one")
    return record


class LineFile:
    """A JSON-lines file, open for adding lines by one process, whose caller holds a lock on it.

    A line is handed to the operating system whole, so killing the process loses none; where the disk refuses one, what
    was written of it is taken back.

    Raises:
        ZeronasError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("ab", buffering=0)  # nothing is left to write when it is closed
        except OSError as error:
            raise self._refused(error) from None

    def add(self, record: Mapping[str, Any], durable: bool = False, seal: bool = False) -> None:
        """Writes one line.

        Args:
            seal: end it with its CRC-32, under "crc", so that any damage to it is found.
            durable: see it on the disk before going on, so that not even a power cut loses it.

        Raises:
            ZeronasError: the disk refuses; what the file held before is kept.
        """
        whole = json.dumps(record, separators=(",", ":")).encode()
        line = (_sealed(whole) if seal else whole) + b"\n"
        before = os.fstat(self._file.fileno()).st_size
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            os.truncate(self.path, before)
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> ZeronasError:
        return ZeronasError(f"'{self.path}' cannot be written ({error.strerror}); what it holds is kept.")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> LineFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def append_shared(path: Path, *records: Mapping[str, Any]) -> None:
    """Adds durable lines to a file that several processes add to; each holds its lock only while it writes.

    Raises:
        ZeronasError: the file cannot be written, or its lock is not to be had.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be written ({error.strerror}); what it holds is kept.") from None
    held = lock(path.with_suffix(".lock"), _PATIENCE)
    if held is None:
        raise ZeronasError(f"Another process is writing to '{path}'; wait for it or choose another folder.")
    with held:
        whole_lines(path, mend=True)
        with LineFile(path) as file:
            for number, record in enumerate(records, 1):
                file.add(record, durable=number == len(records))
