"""What a probe reads: Zipf-distributed ids, or a text in its order."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.core.errors import ZeronasError
from spaces.tokens import fingerprint, token_ids, words_to_ids

ROOT = Path(__file__).parents[2]


def test_zipf_ids_are_a_function_of_the_arguments() -> None:
    ids = token_ids(6, 4, 100, 0)
    assert ids.shape == (6, 4) and ids.dtype == np.int64 and ids.min() >= 0 and ids.max() < 100
    assert not np.array_equal(ids, token_ids(6, 4, 100, 1))
    code = "from spaces.tokens import token_ids; print(token_ids(6, 4, 100, 0).tolist())"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(ids.tolist())


def test_zipf_frequencies() -> None:
    """Id r has probability 1 / ((r + 1) H_5), H_5 = 137/60; 40,000 draws, five standard errors."""
    counts = np.bincount(token_ids(200, 200, 5, 0).ravel(), minlength=5) / 40_000
    for r, share in enumerate(counts):
        p = 60 / 137 / (r + 1)
        assert abs(share - p) < 5 * (p * (1 - p) / 40_000) ** 0.5


def test_text_is_read_along_the_streams(tmp_path: Path) -> None:
    """Nine words, two streams of four: a b c d and b e a f; the ninth word is left over."""
    text = tmp_path / "text.txt"
    text.write_text("a b c d\nb e a f  g\n", encoding="utf-8")
    assert token_ids(4, 2, 100, 0, str(text)).T.tolist() == [[0, 1, 2, 3], [1, 4, 0, 5]]
    assert token_ids(2, 2, 100, 9, str(text)).T.tolist() == [[0, 1], [1, 4]]  # the first steps of the same streams
    assert token_ids(3, 3, 100, 0, str(text)).T.tolist() == [[0, 1, 2], [3, 1, 4], [0, 5, 6]]


def test_words_past_the_vocabulary_share_the_last_id() -> None:
    assert words_to_ids(["a", "b", "a", "c", "d", "c", "b"], 3).tolist() == [0, 1, 0, 2, 2, 2, 1]


def test_short_and_missing_texts(tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text("one two three", encoding="utf-8")
    with pytest.raises(ZeronasError) as error:
        token_ids(2, 2, 10, 0, str(text))
    assert str(error.value) == f"The probe's text '{text}' has 3 words; 2 steps of 2 streams need 4."
    for read in (lambda path: token_ids(2, 2, 10, 0, path), fingerprint):
        with pytest.raises(ZeronasError, match=r"^The probe's text '.*none\.txt' cannot be read \(.*\); a UTF-8 text "):
            read(str(tmp_path / "none.txt"))
    text.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ZeronasError, match=r"cannot be read \(.*\); a UTF-8 text file is needed\.$"):
        token_ids(1, 1, 10, 0, str(text))


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    assert fingerprint(None) == "zipf"
    text = tmp_path / "a.txt"
    text.write_bytes(b"abc")
    assert fingerprint(str(text)) == "ba7816bf8f01"  # SHA-256 of "abc", FIPS 180-2
    text.write_bytes(b"abd")
    assert fingerprint(str(text)) != "ba7816bf8f01"


def test_a_changed_text_is_read_again(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("a b a b", encoding="utf-8")
    assert token_ids(2, 2, 10, 0, str(text)).T.tolist() == [[0, 1], [0, 1]]
    text.write_text("a a b c", encoding="utf-8")
    assert token_ids(2, 2, 10, 0, str(text)).T.tolist() == [[0, 0], [1, 2]]


def test_a_caller_cannot_change_what_the_next_one_reads() -> None:
    ids = token_ids(3, 2, 50, 11)
    expected = ids.tolist()
    with contextlib.suppress(ValueError):  # read-only is as good as a copy
        ids[:] = 0
    assert token_ids(3, 2, 50, 11).tolist() == expected
