"""Rank aggregation: several proxies as one, each placed among a fixed random sample of the space.

Source: AZ-NAS (Lee & Ham 2024, CVPR, arXiv 2403.19232) sums log(rank / m) over proxies, the ranks being those among the
m architectures that a search has seen so far. Then a score changes while the search goes on. Here the m architectures
are a reference sample: drawn once, by a seed of its own, and scored as the run scores. So a score means the same in
every run of the same settings, and nothing is gained beyond the sample: a member that is driven to values that no
drawn architecture has counts no more than its clip.
"""

from __future__ import annotations

import copy
import math
import pickle
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import Fidelity, Options, Seed, choice, shown, validated
from nas.core.progress import Progress
from nas.core.workers import TRANSIENT, failure, one_thread
from proxies.base import PROXIES, Needs, Proxy, ProxyFailure, Record, Score
from proxies.making import get

if TYPE_CHECKING:
    from spaces.base import Space
    from spaces.record import Probe

__all__ = ["MEMBERS", "RankAggregation", "Reference"]

#: an example that every space has: what a network computes of its inputs, and what it costs
MEMBERS: Options = {"covariance": {"name": "hidden_covariance", "layer": 1}, "cost": {"name": "flops"}}


@dataclass(frozen=True)
class Reference:
    """The scores of one member over the reference sample, as an empirical distribution.

    Attributes:
        values: the distinct scores, increasing.
        places: of each, the share of the sample below it and half of the share that equals it: above 0 and below 1.
        lowest: the place of a failure: it ranks below every value, and failures of the sample are tied with it.
    """

    values: tuple[float, ...]
    places: tuple[float, ...]
    lowest: float

    @classmethod
    def of(cls, scores: Sequence[float | None]) -> Reference:
        """Returns the distribution of scores, higher is better, None for a failure; one of them must be a value."""
        counts = Counter(score for score in scores if score is not None)
        values, places = tuple(sorted(counts)), []
        failed = below = len(scores) - counts.total()
        for value in values:
            places.append((below + counts[value] / 2) / len(scores))
            below += counts[value]
        return cls(values, tuple(places), max(failed, 1) / 2 / len(scores))

    def place(self, value: float) -> float:
        """Returns where a score lies: linear between the sample's values, at its ends beyond them."""
        after = bisect_right(self.values, value)
        if after in (0, len(self.values)):
            return self.places[max(0, after - 1)]
        (a, b), (low, high) = self.values[after - 1 : after + 1], self.places[after - 1 : after + 1]
        # the difference of two huge values may be no number
        part = (value - a) / (b - a) if math.isfinite(b - a) else (value / 2 - a / 2) / (b / 2 - a / 2)
        return low + part * (high - low)


@PROXIES.register("rank_aggregation")
class RankAggregation(Proxy):
    """Several proxies as one: the sum of logs, the worst or the mean of their places in a sample of the space.

    A member's place is the share of the reference sample that scores lower (ties count half), interpolated between the
    sample's scores, so that distinct scores are tied beyond its ends only. It is at least 1 / 2m and at most ``clip``.
    Members that need it are prepared for the space first. The sample is scored before the search, which costs as much
    as scoring ``sample`` architectures.

    Args:
        members: label -> the member's name under "name" (by default the label) and its options.
        how: "log_sum", the sum of log(place) as in AZ-NAS: one bad place costs more than a good one repays; "worst",
            the least place; "mean".
        sample: size m of the reference sample.
        sample_seed: of its draws, whatever the run's seed. Scores are made under the run's probe and seed.
        clip: highest place that counts.
        failed: what a member without a value does: "fails" the whole with the member's reason, or gets the "worst"
            place.

    Raises:
        ZeronasError: an argument is out of its range, there is no member, or one has a wrong name or option.
    """

    name = "rank_aggregation"
    title = "rank aggregation"
    source = "Lee & Ham 2024 (AZ-NAS), non-linear ranking aggregation; the fixed reference sample is this project's"
    needs = frozenset({"shapes", "forward"})

    @validated
    def __init__(
        self,
        members: Options = MEMBERS,
        how: Literal["log_sum", "worst", "mean"] = "log_sum",
        sample: Annotated[int, Ge(10), Le(1_000_000)] = 500,
        sample_seed: Seed = 0,
        clip: Fidelity = 0.99,
        failed: Literal["fails", "worst"] = "fails",
    ) -> None:
        self.members, self.how, self.sample, self.sample_seed = members, how, sample, sample_seed
        self.clip, self.failed = clip, failed
        self._take(_made(members, None))
        self._references: Mapping[str, Reference] | None = None

    def _take(self, made: Mapping[str, Proxy]) -> None:
        union = Needs.union(made.values())
        self._members, self.needs, self.layers, self.noises = made, union.kinds, union.layers, union.noises

    def within(self, space: str) -> Proxy:
        """Returns this proxy with its members as they are defined for a space."""
        found = copy.copy(self)
        found._take(_made(self.members, space))
        return found

    def prepare(self, space: Space[Any], probe: Probe | None = None, seed: int = 0, device: str = "cpu") -> Proxy:
        """Returns this proxy with the reference sample's scores; without a probe there are none.

        Raises:
            ZeronasError: a member has no value for any of the sample.
        """
        prepared = copy.copy(self)
        prepared._take({k: one.prepare(space, probe, seed, device) for k, one in self._members.items()})
        if probe is None:
            return prepared
        asked = (prepared._members, space, probe, seed, device, self.sample, self.sample_seed)
        scores, references = _scored(pickle.dumps(asked)), {}
        for label in self._members:
            values = [one[label].value for one in scores]
            if all(value is None for value in values):
                (reason, _), *_ = Counter(one[label].reason for one in scores).most_common(1)
                raise ZeronasError(
                    f"Proxy '{self.name}' has nothing to rank against: none of {self.sample} draws has a value of "
                    f"'{label}' ({reason}); leave this member out."
                )
            references[label] = Reference.of(values)
        prepared._references = references
        return prepared

    def __call__(self, record: Record) -> float:
        """Returns the aggregate of the members' places.

        Raises:
            ProxyFailure: a member has no value, or the proxy was prepared for no space.
        """
        scores = {label: one.score(record) for label, one in self._members.items()}
        if self._references is None:
            raise ProxyFailure("ranks are relative to a sample of a space, which the proxy was not prepared for")
        return self._together(
            {label: self._place(label, score, self._references[label]) for label, score in scores.items()}
        )

    def _together(self, places: Mapping[str, float]) -> float:
        """Returns the aggregate of the members' places by label, each above 0 and up to ``clip``."""
        if self.how == "worst":
            return min(places.values())
        return math.fsum(map(math.log, places.values())) if self.how == "log_sum" else fmean(places.values())

    def _place(self, label: str, score: Score, reference: Reference) -> float:
        if score.value is not None:
            return min(reference.place(score.value), self.clip)
        if self.failed == "fails":
            raise ProxyFailure(f"{label}: {score.reason}")
        return min(reference.lowest, self.clip)


def _made(members: Any, space: str | None) -> dict[str, Proxy]:
    owner = f"Proxy '{RankAggregation.name}'"
    if not isinstance(members, Mapping) or not members:
        raise ZeronasError(f"{owner} needs members to be a group of one or more proxies, but got {shown(members)}.")
    made = {}
    for label, options in members.items():
        if options is None or isinstance(options, Mapping):
            options = {"name": label, **(options or {})}
        chosen = choice(options, owner, f"members.{label}")
        made[label] = get(chosen.name, space, **chosen.options)
    return made


@lru_cache(maxsize=32)
def _scored(asked: bytes) -> list[dict[str, Score]]:
    """Returns the members' scores of each architecture of a reference sample, in the order drawn.

    A pure function of what it is asked, so that a process scores a sample once.

    Args:
        asked: the members by label, space, probe, seed and device of the scores, size and seed of the sample, pickled:
            two that are equal need not be the same objects.
    """
    members, space, probe, seed, device, size, own = pickle.loads(asked)
    needs = Needs.union(members.values())
    drawn = [space.sample(seeds.generator(own, "reference", i)) for i in range(size)]
    found = {}
    threads = one_thread() if needs.to_run else nullcontext()  # as in a run
    with threads, Progress(size, "of the reference sample") as progress:
        for architecture in drawn:
            if architecture.key not in found:
                found[architecture.key] = _scores(members, probe, space, architecture, needs, seed, device)
            progress.step(next(iter(found[architecture.key].values())).value, True)
    return [found[architecture.key] for architecture in drawn]


def _scores(members: Mapping[str, Proxy], probe: Probe, *asked: Any) -> dict[str, Score]:
    try:
        record = probe.observe(*asked)
        return {label: one.score(record) for label, one in members.items()}
    except (MemoryError, RuntimeError) as error:
        reason = failure(error)
        if reason in TRANSIENT:  # another run could have the value, and other ranks
            raise ZeronasError(f"The reference sample of ranks cannot be scored: {reason}.") from None
        return dict.fromkeys(members, Score(None, reason))
