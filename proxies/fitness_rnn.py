"""The project's own fitness of RNN cells: ``proxy=zeronas``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from nas.core.options import Seed, Size, validated
from proxies.aggregation import RankAggregation
from proxies.base import PROXIES, Proxy, Record

__all__ = ["STABILITY", "TARGETS", "CellFitness"]

#: how long the trainings are that a fitness of cells is for -> where in the space the response to an input should lie
TARGETS = {"long": 0.4, "short": 0.9}
#: growth of the states (feature ``state_growth``) -> stability, in short trainings at a high learning rate
STABILITY = {"bounded": 1.0, "linear": 1.0, "exponential": 0.7, "superexponential": 0.35}


@PROXIES.register("zeronas", "rnn")
class CellFitness(RankAggregation):
    """Independent states and a response of the right size, each placed in a sample of the space; and stability.

    - **Independence** is hidden covariance (Serianni & Kalita 2023, section 3), in its released variant.
    - **Response** is the size of the states after the first step (``state_size``, step="first"): how much of one input
      the state takes in at once. A cell whose first state does not depend on its input at all is a failure. Neither
      the largest nor the smallest response is best, so its place u among the sample counts by how near it is to a
      target t: 1 - |u - t| / max(t, 1 - t).

    - **Stability**, in short trainings, is how fast the states can grow whatever the weights are (``state_growth``): 1
      where they cannot by more than a constant each step, .7 where by a constant factor, .35 where faster.

    With the worst of several layers for the first two, the fitness is the sum of the logarithms. As each view is a
    place in a fixed sample, clipped at its 99th percentile, a search gains nothing by leaving the sample's range, and
    as the response has two sides it cannot be driven to infinity or to zero. What explodes only later than the probe's
    few steps is what an optimiser finds next, and what stability is for.

    Target and stability depend on the training that the search is for. Long trainings (NAS-Bench-NLP: 50 epochs of a
    regularised model) prefer cells that take in an input with restraint, short ones (mini_rnn: 1,000 updates) cells
    that respond at once: a quick learner is ahead there, and may be overtaken later. The table of NAS-Bench-NLP holds
    no cell that diverged, so it cannot tell whether stability pays in long trainings; there it does not count.

    Views, targets and stability were chosen on the cells of NAS-Bench-NLP and mini_rnn whose key has an even SHA-256.
    Figures, and what becomes of the fitness under evolution: ``experiments/proxies/results/report.md``.

    Args:
        training: "long" or "short".
        layers: how many layers of the probe's stack are looked at. One is cheapest, and ranks as well as three;
            evolution needs more, as what it finds may die out in the layers above (``probe=stack``).
        sample: size of the reference sample.
        sample_seed: of its draws, whatever the run's seed.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "zeronas"
    title = "zeronas fitness"
    source = "this project; hidden covariance after Serianni & Kalita 2023, section 3"

    @validated
    def __init__(
        self,
        training: Literal["long", "short"] = "long",
        layers: Size = 1,
        sample: Annotated[int, Ge(10), Le(1_000_000)] = 500,
        sample_seed: Seed = 0,
    ) -> None:
        members: dict[str, dict[str, Any]] = {}
        for layer in range(1, layers + 1):
            members[f"covariance_{layer}"] = {"name": "hidden_covariance", "layer": layer}
            members[f"response_{layer}"] = {"name": "state_size", "layer": layer, "step": "first"}
        super().__init__(members, "log_sum", sample, sample_seed)
        self.training = training

    def _take(self, made: Mapping[str, Proxy]) -> None:
        super()._take(made)
        self.needs |= {"described"}

    def __call__(self, record: Record) -> float:
        """Returns the fitness, at most 0.

        Raises:
            ProxyFailure: a view has no value, or the proxy was prepared for no space.
        """
        stability = STABILITY[record.described["state_growth"]] if self.training == "short" else 1.0
        return super().__call__(record) + math.log(stability)

    def _together(self, places: Mapping[str, float]) -> float:
        target = TARGETS[self.training]
        independence = min(place for label, place in places.items() if label.startswith("covariance"))
        responses = [place for label, place in places.items() if label.startswith("response")]
        near = min(1 - abs(place - target) / max(target, 1 - target) for place in responses)
        return math.log(independence) + math.log(max(near, 1 / (2 * self.sample)))
