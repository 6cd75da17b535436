"""Many numbers of each architecture, measured once and kept in the run folder: a file an architecture, whole or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.errors import ZeronasError
from nas.core.files import replacing
from nas.core.progress import Progress
from nas.core.workers import TRANSIENT
from nas.engine.evaluate import Evaluator
from nas.engine.trials import Trial

__all__ = ["measured"]


def measured(
    evaluator: Evaluator, architectures: Sequence[Any], folder: Path, run: str, progress: Progress
) -> np.ndarray:
    """Returns the scores of all proxies of an evaluator, (architectures, proxies), NaN for a failure.

    What the folder holds is read; what is measured is written at once, so that a killed run loses only what was under
    way. A failure for want of time or memory is not kept.

    Args:
        run: what stands for the run, so that no other run's files are taken for its own.

    Raises:
        ZeronasError: no worker can be started, or the folder cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ZeronasError(f"'{folder}' cannot be made ({error.strerror}); choose another run.dir.") from None
    table = np.full((len(architectures), len(evaluator.labels)), np.nan)
    missing = []
    for place, architecture in enumerate(architectures):
        known = _read(folder / f"{run}-{architecture.key}.npy", len(evaluator.labels))
        if known is None:
            missing.append(place)
        else:
            table[place] = known
            progress.step(0.0, False)
    size = 4 * evaluator.workers  # an architecture takes seconds: workers then hand on each by itself, not in chunks
    for part in (missing[start : start + size] for start in range(0, len(missing), size)):
        for number, evaluation in evaluator.answer([Trial(architectures[place]) for place in part]):
            scores = [evaluation.scores[label] for label in evaluator.labels]
            row = np.array([np.nan if score.value is None else score.value for score in scores])
            table[part[number]] = row
            if not any(score.reason in TRANSIENT for score in scores):
                with replacing(folder / f"{run}-{evaluation.key}.npy") as file:
                    np.save(file, row)
            progress.step(0.0, True)
    return table


def _read(path: Path, count: int) -> np.ndarray | None:
    try:
        row = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or damaged: measured again
        return None
    return row if row.shape == (count,) and row.dtype == np.float64 else None
