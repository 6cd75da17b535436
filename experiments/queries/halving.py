"""``python -m experiments.queries.halving``: the funnel against whole trainings, at equal cost in updates.

On both of the project's own tables, by their learning curves: of 60 members drawn at random, ordered by a proxy or by
chance, as many as the budget pays are trained to the end; or more of them go through a funnel, at no higher cost.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from experiments.guard import guarded
from experiments.paper.runs import composed
from experiments.paper.tables import save
from experiments.queries.pools import RESULTS, asked
from nas import judge
from nas.core import seeds
from nas.core.files import versions
from nas.engine.evaluate import Evaluator
from nas.engine.trials import TRUTH, Result
from nas.search.funnel import Funnel
from nas.settings import SearchSettings, make
from nas.truth.benchmarks import Benchmark
from nas.truth.measures import TableTruth
from proxies.base import Score
from spaces.base import Space

__all__ = ["BUDGETS", "PLANS", "SEEDS", "main"]

#: table -> space, and the proxy that orders candidates
_TABLES = {
    "mini_rnn": ("space=rnn", "proxy=hidden_covariance", "probe=micro"),
    "mini_bert": ("space=bert", "proxy=softmax_confidence", "proxies.softmax_confidence.normalised=false"),
}
SEEDS = 30
#: trainings
BUDGETS = (3, 5, 10)
#: rungs, and the share of those in one that reach the next is 1 / eta
PLANS = {"whole trainings": ((1.0,), 3.0), "1/4, 1": ((0.25, 1.0), 4.0), "1/8, 3/8, 1": ((0.125, 0.375, 1.0), 3.0)}
_MEMBERS = 60


def main() -> None:
    """Compares on both tables and writes results/halving.json."""
    found = {}
    for name, overrides in _TABLES.items():
        settings = make(composed("search", *overrides, f"benchmark={name}"), SearchSettings)
        table = settings.needed_truth()
        members = [member.architecture for member in table.members]
        with Evaluator(settings.scorer()) as evaluator:
            scores = {one.key: one.scores[settings.fitness] for one in evaluator.map(members)}
        rows = []
        for order in ("proxy", "chance"):
            for budget in BUDGETS:
                for plan in PLANS:
                    costs, regrets = zip(
                        *(_run(settings.space, table, members, scores, order, plan, budget, s) for s in range(SEEDS)),
                        strict=True,
                    )
                    known = [regret for regret in regrets if regret is not None]
                    mean, median, error = judge.mean_and_error(known)
                    rows.append(
                        {
                            "order": order,
                            "budget": budget,
                            "plan": plan,
                            "finalists": _finalists(settings.space, plan, budget),
                            "cost": sum(costs) / SEEDS,
                            "regret": mean,
                            "median": median,
                            "error": error,
                            "nothing": SEEDS - len(known),
                            "regrets": list(regrets),
                        }
                    )
        found[name] = {
            "members": _MEMBERS,
            "of": len(members),
            "unit": table.unit,
            "proxy": settings.fitness,
            "rows": rows,
        }
    save(RESULTS / "halving.json", {"tables": found, "seeds": SEEDS, "versions": versions()})


def _finalists(space: Space[Any], plan: str, budget: int) -> int:
    """Returns the most finalists whose funnel costs no more than the budget."""
    shares, eta = PLANS[plan]
    return max(k for k in range(1, _MEMBERS + 1) if Funnel(space, k, shares, eta).reserve <= budget + 1e-9)


def _run(
    space: Space[Any],
    table: Benchmark,
    members: Sequence[Any],
    scores: dict[str, Score],
    order: str,
    plan: str,
    budget: int,
    seed: int,
) -> tuple[float, float | None]:
    """Returns what a funnel cost, in trainings, and the regret of its find; None where all it trained diverged."""
    shares, eta = PLANS[plan]
    funnel = Funnel(space, _finalists(space, plan, budget), shares, eta)
    drawn = seeds.generator(seed, "halving").permutation(len(members))[:_MEMBERS]
    for place, i in enumerate(drawn):
        fitness = scores[members[i].key].fitness if order == "proxy" else -float(place)
        funnel.tell([Result.of(members[i], fitness)])
    results = asked(funnel, {TRUTH: TableTruth(table)}, {TRUTH: budget})
    whole = [r.truth.value for r in results if r.truth is not None and r.trial.fidelity == 1]
    best = max((value for value in whole if value is not None), default=None)
    cost = sum(result.cost for result in results)
    return cost, None if best is None else table.sign * table.best.value - best


if __name__ == "__main__":
    sys.exit(guarded(main))
