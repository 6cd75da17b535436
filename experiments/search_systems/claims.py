"""What was published of the systems and can be asked of the comparison, and what a user is advised to take.

A claim says that one system is better than another; it is tested over pairs of seeds in every pool. Advice is chosen on
every other pair of seeds and told of the rest, so that the figures told are not those that the choice was made on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.search_systems.compare import AT, POOLS
from experiments.search_systems.scores import TABLES
from experiments.search_systems.systems import SYSTEMS, TOPS, overrides
from nas import judge
from nas.judge.effects import holm, signed_rank

__all__ = ["CLAIMS", "LEVEL", "SPACES", "VERDICTS", "Advice", "Claim", "Outcome", "advised", "column", "outcomes"]

#: of every test of the comparison
LEVEL = 0.05
#: what can become of a claim in a pool
VERDICTS = ("holds", "no significant difference", "the other way")
#: space -> its tables
SPACES: dict[str, tuple[str, ...]] = {
    space: tuple(name for name, overrides in TABLES.items() if f"space={space}" in overrides)
    for space in ("rnn", "bert")
}


@dataclass(frozen=True)
class Claim:
    """A published statement that one system finds better than another at a budget.

    Attributes:
        said: the statement, and where.
        better, than: systems of the comparison.
        at: queries, one of ``AT``.
    """

    said: str
    better: str
    than: str
    at: int


#: what the papers say in their abstracts or tables; budgets are the nearest of ``AT`` to theirs
CLAIMS: tuple[Claim, ...] = (
    Claim("RoBoT beats the top of a single metric (RoBoT, table 2)", "robot", "top by the field's metric", 20),
    Claim("RoBoT beats HNAS (RoBoT, table 2)", "robot", "hnas", 20),
    Claim("RoBoT beats random search (RoBoT, table 2)", "robot", "random", 20),
    Claim("HNAS beats random search (RoBoT, table 2)", "hnas", "random", 20),
    Claim("A warm-up by a proxy helps ageing evolution (Zero-Cost-NAS)", "zero_cost", "ageing evolution", 50),
    Claim("Ageing evolution beats random search (Real et al. 2019)", "ageing evolution", "random", 100),
    Claim("Local search beats random search (White et al., arXiv 2005.02960)", "local search", "random", 100),
    Claim("BANANAS beats random search (BANANAS)", "bananas", "random", 100),
    Claim("BANANAS beats ageing evolution (BANANAS)", "bananas", "ageing evolution", 100),
    Claim("Proxies help Bayesian optimisation (ProxyBO)", "proxybo", "optuna gp", 20),
    Claim("Climbs by a proxy help successive halving (MF-NAS)", "r_mf_nas", "halving", 50),
)


@dataclass(frozen=True)
class Outcome:
    """A claim in one pool: the mean difference of regret over pairs (negative: the claim's way), and its corrected p.

    ``p`` is of a two-sided Wilcoxon signed-rank test, corrected after Holm over the pools.
    """

    table: str
    pool: str
    difference: float
    p: float

    @property
    def verdict(self) -> str:
        """Returns one of ``VERDICTS``."""
        holds, neither, against = VERDICTS
        if self.p >= LEVEL or not self.difference:
            return neither
        return holds if self.difference < 0 else against


def column(system: Mapping[str, Any], at: int, value: str = "regret") -> list[float]:
    """Returns a system's values at one of ``AT``, pair by pair."""
    return [row[AT.index(at)] for row in system[value]]


def outcomes(claim: Claim, data: Mapping[str, Any]) -> list[Outcome]:
    """Returns what becomes of a claim in every pool of every table."""
    where = [(table, pool) for table in TABLES for pool in POOLS]
    gaps = []
    for table, pool in where:
        systems = data[table]["pools"][pool]
        gaps.append(np.subtract(column(systems[claim.better], claim.at), column(systems[claim.than], claim.at)))
    corrected = holm([signed_rank(gap) for gap in gaps])
    return [Outcome(*place, float(gap.mean()), p) for place, gap, p in zip(where, gaps, corrected, strict=True)]


@dataclass(frozen=True)
class Advice:
    """The system to take on a space at a budget.

    Attributes:
        at: queries; 0 for the proxy's first choice, of which no truth is asked.
        system: of the least regret, as a share of random search's, averaged over the space's pools, on the pairs that
            choose; never a control, which nobody can take by name.
        told: (table, pool, regret, its standard error, random search's) on the other pairs; at 0 queries random
            search's is that after one query.
    """

    space: str
    at: int
    system: str
    told: tuple[tuple[str, str, float, float, float], ...]


def advised(data: Mapping[str, Any], space: str, at: int) -> Advice:
    """Returns the advice for a space at 0 queries or at one of ``AT``."""
    pools = [(table, pool, data[table]["pools"][pool]) for table in SPACES[space] for pool in POOLS]
    run = [name for name in pools[0][2] if (at or name in TOPS) and _values(pools[0][2][name], at) is not None]
    names = [name for name in run if name not in {*TOPS, *SYSTEMS} or overrides(name)]  # no control

    def share(name: str) -> float:
        parts = []
        for _, _, systems in pools:
            mean, random = np.mean(_of(systems[name], at, 0)), np.mean(_random(systems, at)[0::2])
            parts.append(float(mean / random))
        return float(np.mean(parts))

    chosen = min(names, key=share)
    told = []
    for table, pool, systems in pools:
        mean, _, error = judge.mean_and_error(_of(systems[chosen], at, 1))
        told.append((table, pool, mean, error, float(np.mean(_random(systems, at)[1::2]))))
    return Advice(space, at, chosen, tuple(told))


def _values(system: Mapping[str, Any], at: int) -> Sequence[float] | None:
    """Returns a system's regret pair by pair, or None where it is not run with that budget."""
    if at == 0:
        return system.get("no truth")
    values = column(system, at)
    return None if values[0] is None else values


def _of(system: Mapping[str, Any], at: int, half: int) -> Sequence[float]:
    values = _values(system, at)
    assert values is not None
    return values[half::2]


def _random(systems: Mapping[str, Any], at: int) -> Sequence[float]:
    """Returns random search's regret pair by pair; a first draw, in the mean, where no truth is asked for."""
    random = systems["random"]
    return column(random, at) if at else [random["curve"][0]] * len(random["regret"])
