"""How large the page of a large run is, as ``experiments.scale.page`` measures it; here on 2,000 evaluations."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from experiments.scale import page
from nas.core.errors import ZeronasError


@pytest.mark.parametrize("kind", ["rows", "cells"])
def test_the_page_of_two_thousand_is_small(kind: str, tmp_path: Path) -> None:
    found = page.built(page.searched(tmp_path, kind, 2_000))
    assert found["evaluations"] == found["on_the_page"] == 2_000 and found["limit"] == 2_000_000
    assert 50_000 < found["bytes"] < found["limit"] / 4
    assert (found["truths"] == 2_000) == (kind == "rows") and found["seconds_to_build"] > 0


def test_the_committed_pages_are_within_their_limits() -> None:
    found = json.loads(page.RESULT.read_text(encoding="utf-8"))
    assert (found["cells"]["evaluations"], found["rows"]["evaluations"]) == (2_000, 100_000)
    for one in (found["cells"], found["rows"]):
        assert one["bytes"] < one["limit"] == page.LIMITS[one["evaluations"]]
        assert one["on_the_page"] == one["evaluations"]


@pytest.mark.parametrize("argument", ["rows", "rows=", "rows=99", "rows=many", "row=500", "rows=10000000"])
def test_what_is_not_understood_is_named(argument: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["page", argument])
    with pytest.raises(ZeronasError, match=r"^cells=N and rows=N are accepted, N from 100 to 9,999,999, but got"):
        page.main()
