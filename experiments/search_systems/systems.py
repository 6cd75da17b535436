"""The systems compared: a searcher, its options, and the proxies that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from experiments.search_systems.scores import METRICS, Scored

__all__ = ["SYSTEMS", "TOPS", "System", "labels_of", "overrides"]

#: what a system is given: the field's own metric of the space, the project's own fitness, all of ``METRICS``, or HNAS's
#: two
Given = Literal["field", "zeronas", "all", "hnas"]


@dataclass(frozen=True)
class System:
    """One row of the comparison.

    Attributes:
        searcher, options: by name, as on the command line.
        given: which proxies the run has, the first being the fitness.
        views: whether a surrogate's views are scored beside them.
        budgets: where a search plans by its budget of truths: what it is run with, each a search of its own. With none,
            what it has after n truths does not depend on how many follow, and one search tells of all.
        scored: share of the members that it may score, but at least two for each truth. R-MF-NAS scores as it searches,
            2,000 of 15,625 in its paper; all others are given every score.
    """

    searcher: str
    given: Given = "field"
    options: Mapping[str, Any] = field(default_factory=dict)
    views: bool = False
    budgets: tuple[int, ...] = ()
    scored: float = 1.0


#: the budgets of what takes a tenth of a second or more for each truth: 20 is that of RoBoT's and HNAS's papers
_FEW = (10, 20)
#: with 100 truths a population of 64 or 100 would be little more than its start
_YOUNG = {"population": 20, "tournament": 5}
#: name -> system that asks for truths; options are the published ones, or the defaults here
SYSTEMS: dict[str, System] = {
    "random": System("random", options={"of": "truth"}),
    "ageing evolution": System("evolution", options={"of": "truth", **_YOUNG}),
    "local search": System("local", options={"of": "truth"}),
    "zero_cost": System("zero_cost", options=_YOUNG),
    "zero_cost, zeronas": System("zero_cost", "zeronas", _YOUNG),
    "bananas": System("bananas"),
    "bayes": System("bayes", views=True),
    "bayes, zeronas": System("bayes", "zeronas", views=True),
    "spread (control)": System("spread", views=True),
    "robot": System("robot", "all", budgets=_FEW),
    "hnas": System("hnas", "hnas", {"metric": "grad_norm", "condition": "ntk_condition"}, budgets=_FEW),
    "proxybo": System("proxybo", "all", budgets=(20,)),
    "r_mf_nas": System("r_mf_nas", budgets=(10, 20, 50, 100), scored=0.25),
    "halving": System("halving", budgets=(10, 20, 50, 100)),
    "optuna tpe": System("optuna", options={"sampler": "tpe", "of": "truth"}),
    "optuna gp": System("optuna", options={"sampler": "gp", "of": "truth"}, budgets=(20,)),
}
#: name -> proxies whose own top is queried, best first
TOPS: dict[str, Given] = {"top by the field's metric": "field", "top by zeronas": "zeronas", "top by all, ranks": "all"}


def labels_of(table: Scored, given: Given) -> Sequence[str]:
    """Returns the labels of proxies that a system is given on a table."""
    metrics = METRICS[table.space.name]
    chosen: dict[Given, Sequence[str]] = {
        "field": metrics[:1],
        "zeronas": ("zeronas",),
        "all": metrics,
        "hnas": ("grad_norm", "ntk_condition"),
    }
    return chosen[given]


def overrides(name: str) -> str | None:
    """Returns what a user types to take a system or a top, N being the budget; None for a control, which has no name.

    The field's own metric of a space is named ``METRIC``, several proxies ``[..]``.
    """
    given = TOPS[name] if name in TOPS else SYSTEMS[name].given
    proxy = {"field": "proxy=METRIC", "zeronas": "proxy=zeronas", "all": "proxy=[..]", "hnas": "proxy=[..]"}[given]
    if name in TOPS:
        return f"searcher=random {proxy if given != 'all' else 'proxy=rank_aggregation'} verify=N"
    system = SYSTEMS[name]
    if system.searcher == "spread":
        return None
    options = [f"searcher.{key}={value}" for key, value in system.options.items()]
    return " ".join([f"searcher={system.searcher}", *options, proxy, "queries=N"])
