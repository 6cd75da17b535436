"""The generations of a run, a line each, so that a run that was killed goes on with what it knew."""

from __future__ import annotations

import json
from pathlib import Path

from nas.core.errors import ZeronasError
from nas.core.lines import LineFile, whole_lines
from nas.judge.formulas import Worth
from nas.search.formulas import Answer, Generation
from proxies.expression import Node

__all__ = ["Generations"]


class Generations:
    """Answers what a formula is worth, from the file where it is known.

    Args:
        path: of the file.
        run: what stands for the run in every line.

    Raises:
        ZeronasError: the file cannot be read or written, is damaged, or is of another run.
    """

    def __init__(self, path: Path, run: str, worth: Worth) -> None:
        self.run, self.worth = run, worth
        self._known: dict[str, tuple[float | None, str, str]] = {}
        self._count = 0
        for number, line in enumerate(whole_lines(path, mend=True), 1):
            try:
                entry = json.loads(line.decode("utf-8"))
                if entry["run"] != run or entry["generation"] != number - 1:
                    raise ValueError
                for text, fitness, reason, ranks in entry["formulas"]:
                    self._known[str(text)] = None if fitness is None else float(fitness), str(reason), str(ranks)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
                raise ZeronasError(
                    f"Line {number} of '{path}' is damaged, or of another run; use fresh=true to start over."
                ) from None
            self._count = number
        self._file = LineFile(path)

    def __call__(self, node: Node) -> Answer:
        """Returns what a formula is worth."""
        if node.text not in self._known:
            return self.worth(node)
        answer = Answer(node, *self._known[node.text])
        return answer if answer.fitness is None else self.worth.remember(answer)

    def add(self, generation: Generation) -> None:
        """Writes a generation, unless the file holds it.

        Raises:
            ZeronasError: the disk refuses.
        """
        if generation.number < self._count:
            return
        formulas = [[a.text, a.fitness, a.reason, a.ranks] for a in generation.answers]
        self._file.add({"run": self.run, "generation": generation.number, "formulas": formulas})

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Generations:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
