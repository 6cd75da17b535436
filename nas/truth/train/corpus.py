"""The text that architectures are trained on: a user's files, or English that every installation carries.

The default corpus is the prose of the docstrings of networkx, numpy, scipy and torch as they are installed, read with
``ast`` from their sources in a fixed order. Its text is nowhere stored, and other versions of those packages hold other
text: the fingerprint tells, and trained values are comparable only under the same one.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.cache import cache_folder
from nas.core.errors import ZeronasError
from nas.core.files import replacing
from spaces.protocol import EOS, UNKNOWN

__all__ = ["PACKAGES", "SPLITS", "Corpus", "docstrings", "from_files", "load"]

PACKAGES = ("networkx", "numpy", "scipy", "torch")
SPLITS = ("train", "valid", "test")

#: the words of the ids PAD, MASK, UNKNOWN, EOS
_SPECIAL = ("<pad>", "<mask>", "<unk>", "<eos>")

_FORMAT = "1"  # of the cached files and of the rules below
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+(?:\.[0-9]+)?")
_TESTS = re.compile(r"(^|/)_?(tests?|testing)(/|$)|(^|/)(test_[^/]*|conftest)\.py$")
_CODE = (">>>", "...", "..", "::")
_SHORTEST = 6  # words of a paragraph; shorter ones are headings and signatures


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three splits of token ids.

    Attributes:
        name: "docstrings", or the path of a user's text.
        words: id -> word; the first four are special.
        splits: split -> int32 ids (n,); paragraphs end with EOS.
        fingerprint: SHA-256 of words and ids: equal where, and only where, trainings read the same tokens.
        made_of: what it was read from, such as the packages' versions.
    """

    name: str
    words: tuple[str, ...]
    splits: dict[str, np.ndarray]
    fingerprint: str
    made_of: dict[str, str]

    @property
    def vocabulary(self) -> int:
        """Number of ids, special ones included."""
        return len(self.words)


def load(source: str | None, vocabulary: int) -> Corpus:
    """Returns the corpus of a user's text (a file or a folder of .txt files), or the default one for None.

    A text's own ``<unk>`` and ``<eos>`` become those of the vocabulary.

    Raises:
        ZeronasError: the text cannot be read, or is too short.
    """
    if source == "":
        raise ZeronasError("corpus must be a UTF-8 text, a folder of *.txt files or null, but got ''.")
    return docstrings(vocabulary) if source in (None, "docstrings") else from_files(Path(str(source)), vocabulary)


@lru_cache(maxsize=2)
def docstrings(vocabulary: int = 10_000) -> Corpus:
    """Returns the default corpus; the first call on a machine reads some 3,000 files and keeps the ids in the cache.

    Paragraphs that hold code are left out, and so are repeated docstrings, repeated paragraphs, those under six words,
    and the packages' tests. Words are lower-case runs of letters, every number is ``N``, punctuation is dropped. A
    file's place (by the SHA-256 of its path) decides its split: one in twenty validates, one in twenty tests.

    Raises:
        ZeronasError: a package is not installed with its sources.
    """
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    stamp = hashlib.sha256(repr((_FORMAT, vocabulary, sorted(versions.items()))).encode()).hexdigest()[:16]
    path = cache_folder() / f"docstrings-{stamp}.npz"
    kept = _read_cache(path)
    if kept is None:
        kept = _encode(_docstring_paragraphs(), vocabulary)
        _write_cache(path, *kept)
    return _corpus("docstrings", *kept, versions)


def from_files(source: Path, vocabulary: int) -> Corpus:
    """Returns the corpus of one UTF-8 text, or of a folder's ``*.txt`` files, in the order of their names.

    A line is a paragraph; in a text of fewer than twenty lines a hundred words are. With twenty files or more the split
    is by file, else every twentieth paragraph validates and every twentieth tests. Words are what white space
    separates, lower-cased.

    Raises:
        ZeronasError: the text cannot be read, or leaves a split empty.
    """
    files = sorted(source.rglob("*.txt")) if os.path.isdir(source) else [source]
    known, splits = _encode(_paragraphs_of(files), vocabulary)
    for split in SPLITS:
        if len(splits[split]) < 2:
            raise ZeronasError(
                f"The corpus '{source}' is too short: its {split} split is empty; at least twenty lines, or two "
                "thousand words, are needed (in *.txt files, if it is a folder)."
            )
    return _corpus(str(source), known, splits, {"files": str(len(files))})


def _paragraphs_of(files: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    count = 0  # of paragraphs so far
    for number, file in enumerate(files):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"byte {error.start} is not UTF-8"
            raise ZeronasError(f"The corpus '{file}' cannot be read ({reason}); a UTF-8 text is needed.") from None
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 20:
            words = text.split()
            if len(words) >= 2_000:
                lines = [" ".join(words[i : i + 100]) for i in range(0, len(words), 100)]
        for line in lines:
            place = (number if len(files) >= 20 else count) % 20
            count += 1
            yield "valid" if place == 9 else "test" if place == 19 else "train", line.lower().split()


def _corpus(name: str, words: Sequence[str], splits: dict[str, np.ndarray], made_of: dict[str, str]) -> Corpus:
    digest = hashlib.sha256("\n".join(words).encode())
    for split in SPLITS:
        digest.update(split.encode() + np.ascontiguousarray(splits[split], dtype="<i4").tobytes())
    return Corpus(name, tuple(words), splits, digest.hexdigest(), made_of)


def _encode(
    paragraphs: Iterable[tuple[str, list[str]]], vocabulary: int
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Returns words and ids of (split, words) pairs; the vocabulary is of the training split, ties alphabetical."""
    met: dict[str, int] = {}  # word -> order in which it was met; words are kept once, the text as these numbers
    kept = {split: array("i") for split in SPLITS}
    for split, words in paragraphs:
        kept[split].extend([met.setdefault(word, len(met)) for word in words])
        kept[split].append(-1)
    texts = {split: np.array(numbers, dtype=np.int32) for split, numbers in kept.items()}
    counts = np.bincount(texts["train"][texts["train"] >= 0], minlength=len(met))
    trained = [word for word, number in met.items() if counts[number] and word not in _SPECIAL]
    frequent = sorted(trained, key=lambda word: (-counts[met[word]], word))[: vocabulary - len(_SPECIAL)]
    ids = np.full(len(met) + 1, UNKNOWN, dtype=np.int32)
    ids[-1] = EOS  # where the text has -1
    if "<eos>" in met:  # a text that brings special tokens of its own; all but this one are unknown words
        ids[met["<eos>"]] = EOS
    ids[[met[word] for word in frequent]] = np.arange(len(_SPECIAL), len(_SPECIAL) + len(frequent))
    return (*_SPECIAL, *frequent), {split: ids[text] for split, text in texts.items()}


def _docstring_paragraphs() -> Iterator[tuple[str, list[str]]]:
    seen: set[str] = set()
    files: list[tuple[str, Path]] = []
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ZeronasError(f"The default corpus reads the docstrings of '{package}', which is not installed.")
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in root.rglob("*.py"):
            name = path.relative_to(root.parent).as_posix()
            if not _TESTS.search(name):
                files.append((hashlib.sha256(name.encode()).hexdigest(), path))
    for place, path in sorted(files):
        share = int(place[:8], 16) % 20
        split = "valid" if share == 0 else "test" if share == 1 else "train"
        for text in _docstrings_of(path):
            if text in seen:
                continue
            seen.add(text)
            for paragraph in re.split(r"\n\s*\n", text):
                if any(line.lstrip().startswith(_CODE) for line in paragraph.splitlines()):
                    continue
                words = ["N" if token[0].isdigit() else token for token in _TOKEN.findall(paragraph.lower())]
                key = " ".join(words)
                if len(words) >= _SHORTEST and key not in seen:
                    seen.add(key)
                    yield split, words


def _docstrings_of(path: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's sources
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # written for another Python; the fingerprint tells
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield text


def _read_cache(path: Path) -> tuple[tuple[str, ...], dict[str, np.ndarray]] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            words = bytes(file["words"]).decode("utf-8").split("\n")
            return tuple(words), {split: file[split] for split in SPLITS}
    except Exception:  # a damaged archive raises many kinds; it is made again
        return None


def _write_cache(path: Path, words: Sequence[str], splits: dict[str, np.ndarray]) -> None:
    text = np.frombuffer("\n".join(words).encode("utf-8"), dtype=np.uint8)
    arrays: dict[str, Any] = {"words": text, **splits}
    with contextlib.suppress(OSError, ZeronasError):  # a cache that cannot be kept is made again
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez_compressed(file, **arrays)
