"""The public ground-truth files: where each is from, where it lies on this machine, and that it is the published one.

A folder given as ``data_dir`` wins, then the environment variable NAS_DATA_DIR; in both nothing is ever downloaded
unless ``fetch`` is asked to. With neither, a file is downloaded once into the user's cache folder. Every read
checks the SHA-256.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas.core.cache import cache_folder
from nas.core.errors import ZeronasError, did_you_mean

__all__ = [
    "ENVIRONMENT",
    "FILES",
    "MissingFile",
    "PublicFile",
    "fetch",
    "given_folder",
    "locate",
    "read",
    "sha256",
]

ENVIRONMENT = "NAS_DATA_DIR"

_TRAINING_FREE_NAS = (
    "https://raw.githubusercontent.com/aaronserianni/training-free-nas/2d76e01b9586cad7340e8268dadba3056efd070b/data/"
)
_NAS_BENCH_NLP = (
    "https://raw.githubusercontent.com/fmsnew/nas-bench-nlp-release/a6d90a3b19e3966b1d009c0970b3761aa46707d1/"
    "train_logs_wikitext-2/logs.zip"
)


class MissingFile(ZeronasError):
    """A public file is not on this machine, and was not or could not be fetched."""


@dataclass(frozen=True)
class PublicFile:
    """One published file: its place in a data folder, its SHA-256, its licence, and its address at a fixed commit."""

    path: str
    sha256: str
    licence: str
    url: str


def _paper(path: str, digest: str) -> PublicFile:
    return PublicFile(path, digest, "CC BY 4.0", _TRAINING_FREE_NAS + path.split("/")[-1])


_LIST = (
    _paper("flexibert/BERT_batch_ablation.csv", "72f23597ae609d525977610f3ca03341d7037344bc074637a2f4b82a261ee74b"),
    _paper("flexibert/BERT_benchmark.json", "fa2ff7198dcd71e0b8021ed2ace1c221672c33cc56931b6dff31fda3d044784f"),
    _paper(
        "flexibert/BERT_benchmark_train_ablation.json",
        "9b4c5d93814cbb5b506c156a3f9b39a8c023af33b167cc1791cb98768f46eab3",
    ),
    _paper(
        "flexibert/BERT_initialization_ablation.csv", "a04fb46723cdddad622f3a46575652b26baa55a1ddc8f0c50361f355db278f27"
    ),
    _paper("flexibert/BERT_results_activation.csv", "95fb60a0e702102d6b09a60d13745068270aa28183b7cc8dacb79d5ec6a4b36d"),
    _paper("flexibert/BERT_train_ablation.csv", "21170bf3464f33d6b1f5a9c296e678e236a971906172c80243a3009004a572d3"),
    _paper("nas-bench-nlp/RNN_batch_ablation.csv", "e089e73ad5fa2fd420ad97ed36b64a5587a64a4af37ba319097e3a1ccc9bfe8e"),
    _paper(
        "nas-bench-nlp/RNN_initialization_ablation.csv",
        "920523728d69078ade80896aa682841f08615a0e4d3b9241078fbc6c87f8dff3",
    ),
    _paper("nas-bench-nlp/RNN_parameters.csv", "536548fa3eb073264b7db8c2fa4625ac6e2333aee0ba0f67b4b154048ac86428"),
    _paper("nas-bench-nlp/RNN_results.csv", "4f084a9b437e4f89475ddb2ada896de2d6cb32268c59924e5542dbf017b90852"),
    PublicFile(
        "nas-bench-nlp/wikitext-2-logs.zip",
        "f5052d6bea6398001e32c986322a243e8cdedffa906caf242eb0a62ee105aa12",
        "Apache-2.0",
        _NAS_BENCH_NLP,
    ),
)

#: relative path -> file
FILES: dict[str, PublicFile] = {file.path: file for file in _LIST}


def sha256(content: bytes) -> str:
    """Returns the SHA-256 in hex digits."""
    return hashlib.sha256(content).hexdigest()


def given_folder(data_dir: Path | str | None = None) -> Path | None:
    """Returns the data folder in force: ``data_dir``, else NAS_DATA_DIR, else None (the cache)."""
    folder = data_dir or os.environ.get(ENVIRONMENT)
    return Path(os.path.expanduser(folder)) if folder else None


def locate(relative: str, data_dir: Path | str | None = None) -> Path:
    """Returns the path of a public file whose SHA-256 has just been checked; downloads it only into the cache.

    Raises:
        ZeronasError: unknown, missing, not the published file, or the download failed.
    """
    return _checked(relative, data_dir)[0]


def read(relative: str, data_dir: Path | str | None = None) -> bytes:
    """Returns the content of a public file, its SHA-256 checked.

    Raises:
        ZeronasError: as ``locate``.
    """
    return _checked(relative, data_dir)[1]


def fetch(target: Path | str | None = None, report: Callable[[str], None] | None = None) -> Path:
    """Downloads every public file that is not there yet, or not the published one, and returns the folder.

    Args:
        target: the folder; by default the one in force (NAS_DATA_DIR, else the cache). It is laid out by the files'
            relative paths. What is already right is left alone, so an interrupted fetch goes on where it stopped.
        report: called with one line for each file.

    Raises:
        ZeronasError: a download failed, or the folder cannot be written.
    """
    folder = given_folder(target) or cache_folder()
    for number, file in enumerate(FILES.values(), start=1):
        path = folder / file.path
        there = _is_right(path, file)
        if not there:
            _download(file, folder)
        if report is not None:
            size = path.stat().st_size / 1024
            state = "already there" if there else "fetched"
            report(f"[{number}/{len(FILES)}] {file.path}: {state} ({size:,.0f} KiB, {file.licence})")
    return folder


def _checked(relative: str, data_dir: Path | str | None) -> tuple[Path, bytes]:
    if relative not in FILES:
        raise ZeronasError(f"'{relative}' is not one of the public files.{did_you_mean(relative, FILES)}")
    file, folder = FILES[relative], given_folder(data_dir)
    if folder is None:
        folder = cache_folder()
        if not _is_right(folder / relative, file):
            _download(file, folder)
    path, command = folder / relative, f"`zeronas data fetch data_dir={folder}`"
    if not os.path.isdir(folder):  # False for a name that is too long
        raise MissingFile(
            f"The data folder '{folder}' does not exist; set {ENVIRONMENT} to a folder that holds the public files, or "
            f"make it with {command}."
        )
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MissingFile(
            f"The data folder '{folder}' has no file '{relative}'; set {ENVIRONMENT} to a folder that holds the public "
            f"files, or get it with {command}."
        ) from None
    except OSError as error:
        raise ZeronasError(f"The file '{path}' cannot be read: {_reason(error)}.") from None
    found = sha256(content)
    if found != file.sha256:
        raise ZeronasError(
            f"The file '{path}' is not the published one: its SHA-256 is {found[:12]}..., expected "
            f"{file.sha256[:12]}...; get it again with {command}."
        )
    return path, content


def _is_right(path: Path, file: PublicFile) -> bool:
    try:
        return sha256(path.read_bytes()) == file.sha256
    except OSError:
        return False


def _download(file: PublicFile, folder: Path) -> None:
    import pooch  # type: ignore[import-untyped]

    path = folder / file.path
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(timeout=60),
        )
    except (OSError, ValueError) as error:
        raise MissingFile(
            f"'{file.path}' could not be fetched into '{folder}' from {file.url} ({_reason(error)}); check the network "
            f"and the folder, or set {ENVIRONMENT} to a folder that holds the public files."
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "what came is not the published file"
