"""Truth as a measure: a table answers what it holds, a training what the table lacks (see ``nas.engine.trials``)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nas.core.errors import ZeronasError
from nas.core.executors import Executor
from nas.engine.trials import TRUTH, Evaluation, Trial
from nas.truth.benchmarks import Benchmark, MiniTable, Truth
from nas.truth.train.running import FOLDER, running
from nas.truth.train.table import Job, trained, value_at
from proxies.base import Score

__all__ = ["TableTruth", "TrainingTruth", "corpus_note"]


class TableTruth:
    """Looks truths up in a benchmark; what it does not hold is not known."""

    labels = (TRUTH,)

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        """Yields (place, truth), in order.

        Raises:
            ZeronasError: a truth is asked for at a share of the protocol that the benchmark has no values of.
        """
        for place, trial in enumerate(trials):
            yield place, self._evaluation(trial, self.benchmark.truth(trial.architecture, trial.fidelity))

    def _evaluation(self, trial: Trial, truth: Truth | None, seconds: float = 0.0) -> Evaluation:
        if truth is None:
            score = Score(None, f"not in {self.benchmark.name}")
        else:
            score = Score(None if truth.value is None else self.benchmark.sign * truth.value, truth.reason)
        key, known = trial.architecture.key, truth is not None
        return Evaluation(key, {TRUTH: score}, seconds, {}, TRUTH, trial.fidelity, known)


class TrainingTruth(TableTruth):
    """Looks truths up in a table that training extends, and trains what it lacks under the table's protocol.

    The seed is that of the table's first trainings. Trainings are kept under ``root``, one line each, in a file for
    each protocol and corpus, and never done twice, whichever run asks.

    Args:
        root: folder of all runs.
        executor: where it trains.
    """

    def __init__(self, benchmark: Benchmark, root: Path, executor: Executor) -> None:
        super().__init__(benchmark)
        if benchmark.protocol is None:
            raise ZeronasError(f"Benchmark '{benchmark.name}' has no protocol here, so nothing is trained for it.")
        self.protocol, self.root, self.executor = benchmark.protocol, root, executor
        self._asked: frozenset[str] = frozenset()

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        """Yields (place, truth): first what the table holds, then each training as it ends.

        Raises:
            ZeronasError: as ``TableTruth``; the trainings' journal is damaged or cannot be written; no worker can be
                started.
        """
        missing = []
        for place, evaluation in super().answer(trials):
            if evaluation.known:
                yield place, evaluation
            else:
                missing.append(place)
        if not missing:
            return
        from nas.truth.train.corpus import docstrings

        protocol = self.protocol
        jobs = [
            Job(trials[i].architecture, protocol, protocol.seeds[0], self._updates(trials[i].fidelity)) for i in missing
        ]
        fingerprint = docstrings(protocol.vocabulary).fingerprint
        path = self.store.with_name(f"{self.store.name}-{fingerprint[:12]}.jsonl")
        self._asked = frozenset(job.architecture.key for job in jobs)
        print(f"training {len(missing)} candidates under the protocol {protocol.name}", file=sys.stderr)
        for done, (at, record, new) in enumerate(trained(jobs, None, path, self.executor), 1):
            found = value_at(record, jobs[at].updates)
            assert found is not None
            if new:
                what = found[1] or f"{found[0]:.4f} {self.benchmark.unit}"
                print(
                    f"trained {done} of {len(jobs)}: {record['key']} {what}, {record['seconds']:.0f} s", file=sys.stderr
                )
            yield missing[at], self._evaluation(trials[missing[at]], Truth(*found), record["seconds"])

    @property
    def store(self) -> Path:
        """How the names of the journals of trainings begin; the fingerprint of the corpus follows."""
        return self.root / "trained" / f"{self.benchmark.name}-{self.protocol.hash}"

    def running(self) -> list[str]:
        """Returns a line on each training under way that was asked for here."""
        return [one.text for one in running(self.store.parent / FOLDER) if one.key in self._asked]

    def _updates(self, fidelity: float) -> int | None:
        return None if fidelity >= 1 else self.protocol.updates(fidelity)


def corpus_note(benchmark: MiniTable) -> str:
    """Returns a warning where the text here is not the text the table was trained on, else ""."""
    from nas.truth.train.corpus import docstrings

    corpus = docstrings(benchmark.protocol.vocabulary)
    then = benchmark.sheet["corpus"]
    if corpus.fingerprint == then["fingerprint"]:
        return ""
    changed = [
        f"{k} {v} instead of {then['made_of'].get(k)}" for k, v in corpus.made_of.items() if v != then["made_of"].get(k)
    ]
    return (
        f"The default corpus here is not the one that {benchmark.name} was trained on "
        f"({', '.join(changed) or 'same versions, other sources'}): losses trained here are of another text, so rank, "
        "percentile and regret among the table's are only rough. Install with constraints.txt to compare exactly."
    )
