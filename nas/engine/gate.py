"""The gate: an architecture whose states or gradients are unlike those of the sampler's own is infeasible.

A proxy can be driven to where its score means nothing: among cells whose states all but vanish, or explode. What such
cells have in common shows in cheap statistics of the untrained network, and at both ends. So the bounds are two-sided,
and they are the quantiles of what the sampler draws, where the proxy was ever compared with the truth. The well-known
architectures of the space are inside whatever the draws say. An architecture outside is a failure with its reason,
never a low score. Which statistics, the space says (``Space.gate``).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le, Lt

import proxies
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.files import write_json
from nas.core.progress import Progress
from nas.core.workers import TRANSIENT
from nas.engine.trials import Evaluation, Measure, Trial
from proxies.base import Proxy, Score
from spaces.base import Space
from spaces.record import Probe

__all__ = ["Bounds", "Gate", "GateSettings", "Gated", "statistics"]

#: what labels of statistics begin with; no label of a proxy holds a colon
_PREFIX = "gate:"
#: how the reasons of what is infeasible begin
OUTSIDE = "outside the gate"


@dataclass(frozen=True)
class GateSettings:
    """``conf/gate``.

    Attributes:
        name: "none", or "sampler": bounds from the sampler's own architectures.
        tail: share of the draws beyond each bound of each statistic.
        draws: architectures of the sampler that the bounds are taken from.
    """

    name: Literal["none", "sampler"]
    tail: Annotated[float, Ge(0), Lt(0.5)] = 0.01
    draws: Annotated[int, Ge(20), Le(1_000_000)] = 500

    @property
    def is_open(self) -> bool:
        """Whether everything passes."""
        return self.name == "none"


def statistics(space: Space[Any], probe: Probe) -> dict[str, Proxy]:
    """Returns label -> proxy of the statistics that a gate of the space looks at.

    Raises:
        ZeronasError: the space names none.
    """
    found = space.gate(probe)
    if not found:
        raise ZeronasError(
            f"gate=sampler needs statistics to look at, but space '{space.name}' names none; use gate=none."
        )
    return proxies.listed(found, space.name, _PREFIX)


@dataclass(frozen=True)
class Bounds:
    """What one statistic may be, both ends included, and how many of the draws it turns away."""

    lower: float
    upper: float
    too_small: int
    too_large: int
    failed: int


@dataclass(frozen=True)
class Gate:
    """The bounds of a run.

    Attributes:
        bounds: label of a statistic -> its bounds.
        draws: how many of the sampler's architectures they were taken from.
        outside: how many of these are outside, or have no value.
        known: names of the well-known architectures that the bounds were widened to.
    """

    bounds: Mapping[str, Bounds]
    draws: int
    outside: int
    known: tuple[str, ...]

    @classmethod
    def of(cls, measure: Measure, labels: Sequence[str], space: Space[Any], seed: int, settings: GateSettings) -> Gate:
        """Takes the bounds from fresh draws of the space, reduction and all, that ``measure`` scores.

        Args:
            labels: of the statistics.
            seed: of the run; the draws have a stream of their own.

        Raises:
            ZeronasError: a statistic has no value for any of the draws.
        """
        drawn = [space.sample(seeds.generator(seed, "gate", i)) for i in range(settings.draws)]
        known = {name: one for name, one in space.known.items() if space.contains(one)}
        scores = _scores(measure, [*drawn, *known.values()])
        found = [scores[one.key] for one in drawn]
        bounds = {}
        for label in labels:
            values = np.array([score.value for s in found if (score := s[label]).value is not None])
            if not len(values):
                (reason, _), *_ = Counter(s[label].reason for s in found).most_common(1)
                raise ZeronasError(
                    f"The gate has no bounds: none of {len(drawn)} draws has a value of '{label}' ({reason}); "
                    "use gate=none."
                )
            inside = [value for one in known.values() if (value := scores[one.key][label].value) is not None]
            lower, upper = (float(end) for end in np.quantile(values, [settings.tail, 1 - settings.tail]))
            lower, upper = min([lower, *inside]), max([upper, *inside])
            small, large = int((values < lower).sum()), int((values > upper).sum())
            bounds[label] = Bounds(lower, upper, small, large, len(found) - len(values))
        gate = cls(bounds, len(drawn), 0, tuple(known))
        return replace(gate, outside=sum(bool(gate.refusal(one)) for one in found))

    def refusal(self, scores: Mapping[str, Score]) -> str:
        """Returns why an architecture with these scores is infeasible, "" where it is not; the first reason counts.

        It holds no number, so that failures can be counted by their reasons.
        """
        for label, bounds in self.bounds.items():
            value, reason, name = scores[label].value, scores[label].reason, label.removeprefix(_PREFIX)
            if value is None:
                return reason if reason in TRANSIENT else f"{OUTSIDE}: {name} has no value ({reason})"
            if not bounds.lower <= value <= bounds.upper:
                return f"{OUTSIDE}: {name} too {'small' if value < bounds.lower else 'large'}"
        return ""

    def judged(self, evaluation: Evaluation) -> Evaluation:
        """Returns an answer whose first score, the fitness, is a failure if the architecture is infeasible."""
        first, score = next(iter(evaluation.scores.items()))
        reason = self.refusal(evaluation.scores)
        if not reason or score.value is None:  # what has no fitness keeps its own reason
            return evaluation
        return replace(evaluation, scores={**evaluation.scores, first: Score(None, reason)})

    def write(self, path: Path, run: str) -> None:
        """Writes the bounds for people, and for the run when it goes on.

        Args:
            run: which run they are of.

        Raises:
            ZeronasError: the folder cannot be written.
        """
        write_json(path, {"run": run, **self.to_json()})

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form."""
        bounds = {label.removeprefix(_PREFIX): asdict(bounds) for label, bounds in self.bounds.items()}
        return {"draws": self.draws, "outside": self.outside, "known": list(self.known), "statistics": bounds}

    @classmethod
    def read(cls, path: Path, run: str) -> Gate | None:
        """Returns the bounds that a run wrote, or None where the folder holds none, or those of another run.

        Raises:
            ZeronasError: the file cannot be read, or is damaged.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            bounds = {f"{_PREFIX}{label}": Bounds(**one) for label, one in data["statistics"].items()}
            if not all(math.isfinite(end) for one in bounds.values() for end in (one.lower, one.upper)):
                raise ValueError
            gate = cls(bounds, int(data["draws"]), int(data["outside"]), tuple(data["known"]))
            return gate if data["run"] == run else None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ZeronasError(f"'{path}' cannot be read ({error.strerror}); choose another run.dir.") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ZeronasError(f"'{path}' is damaged; remove it, and its bounds are computed again.") from None


class Gated:
    """A measure of proxies whose answers have passed the gate.

    Args:
        measure: measures the proxies and the statistics.
    """

    def __init__(self, measure: Measure, gate: Gate) -> None:
        self.measure, self.gate = measure, gate

    @property
    def labels(self) -> Sequence[str]:
        """Those of the measure, the statistics among them."""
        return self.measure.labels

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        """Yields (place, answer) as the measure does."""
        for place, evaluation in self.measure.answer(trials):
            yield place, self.gate.judged(evaluation)


def _scores(measure: Measure, architectures: Sequence[Any]) -> dict[str, Mapping[str, Score]]:
    """Returns key -> scores; what was drawn several times is measured once."""
    trials = [Trial(one) for one in {one.key: one for one in architectures}.values()]
    found = {}
    with Progress(len(trials), "draws for the gate") as progress:
        for place, evaluation in measure.answer(trials):
            found[trials[place].architecture.key] = evaluation.scores
            progress.step(next(iter(evaluation.scores.values())).value, True)
    return found
