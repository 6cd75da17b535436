"""Bad inputs as ``experiments.scale.faults`` fires them: none is a traceback, and what would be one is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from experiments.scale import inputs
from experiments.scale.inputs import KINDS, fired
from nas.core.errors import ZeronasError


@pytest.mark.parametrize("kind", ["recipe", "configuration", "table", "journal"])
def test_bad_inputs_are_taken_or_refused(kind: str) -> None:
    found = [fired(kind, number, seed=1) for number in range(20)]
    assert [one for one in found if one.what not in ("taken", "refused")] == []
    assert sum(one.what == "refused" for one in found) > 5


def test_an_input_is_the_same_every_time() -> None:
    assert [fired("journal", n) for n in range(20)] == [fired("journal", n) for n in range(20)]


def _raises(error: BaseException) -> Callable[[np.random.Generator], Callable[[], Any]]:
    def fire() -> None:
        raise error

    return lambda rng: fire


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (KeyError("a"), "traceback"),
        (RecursionError(), "traceback"),
        (ZeronasError(""), "traceback"),
        (inputs._Lost("one answer"), "lost"),
        (inputs._Hang(), "hang"),
        (ZeronasError("The recipe is empty."), "refused"),
    ],
)
def test_what_became_of_an_input_is_told(monkeypatch: pytest.MonkeyPatch, error: BaseException, what: str) -> None:
    monkeypatch.setitem(KINDS, "recipe", _raises(error))
    assert fired("recipe", 0).what == what


def test_damage_that_passes_for_an_answer_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_damaged", lambda rng, text: text.replace(b'"value":0.0', b'"value":1.0', 1))
    monkeypatch.setattr("nas.engine.journal.unsealed", lambda line: line[: line.rindex(b',"crc"')])
    assert "lost" in {fired("journal", number).what for number in range(8)}
