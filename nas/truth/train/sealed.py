"""Files of weights whose damage is detected: torch's own format, followed by the SHA-256 of the content.

torch writes a zip archive and does not check the checksums in it, so one flipped byte is another weight. The SHA-256 of
the file is kept where zip keeps a comment, at its very end: ``torch.load`` reads such a file as any other.
"""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path
from typing import Any

import torch

from nas.core.errors import ZeronasError
from nas.core.files import replacing

__all__ = ["load", "save"]

_MARK = b"zeronas sha256 "
_SEAL = len(_MARK) + 64  # and as many hex digits
_LENGTH = struct.Struct("<H")  # of the comment; the last field of an archive


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes tensors and plain values, whole or not at all.

    Raises:
        ZeronasError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be written ({error.strerror}); choose another folder.") from None
    memory = io.BytesIO()
    torch.save(content, memory)  # not into the file itself: where the disk is full, torch hides that
    archive = memory.getbuffer()
    assert archive[-_LENGTH.size :] == _LENGTH.pack(0)  # torch writes no comment of its own
    archive[-_LENGTH.size :] = _LENGTH.pack(_SEAL)
    with replacing(path) as file:
        file.write(archive)
        file.write(_MARK + hashlib.sha256(archive).hexdigest().encode())


def load(path: Path, remedy: str = "") -> dict[str, Any]:
    """Returns what ``save`` wrote, its SHA-256 checked, tensors on the CPU; no code of the file is run.

    Args:
        remedy: what to do about a file that cannot be used, as the end of the sentence.

    Raises:
        ZeronasError: the file cannot be read, has no SHA-256, or is damaged.
    """
    try:
        with path.open("rb") as file:
            content = memoryview(file.read())
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be read as a file of weights ({error.strerror}){remedy}.") from None
    archive, seal = content[:-_SEAL], bytes(content[-_SEAL:])
    if not seal.startswith(_MARK):
        raise ZeronasError(
            f"'{path}' cannot be read as a file of weights (it does not end with its SHA-256: it was cut off, or "
            f"an earlier version wrote it){remedy}."
        )
    if seal != _MARK + hashlib.sha256(archive).hexdigest().encode():
        raise ZeronasError(f"'{path}' is damaged (its SHA-256 is not that of its content){remedy}.")
    try:
        return dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many kinds for a file that is none of its own
        raise ZeronasError(f"'{path}' cannot be read as a file of weights ({type(error).__name__}){remedy}.") from None
