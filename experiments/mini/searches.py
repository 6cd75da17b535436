"""``python -m experiments.mini.searches``: what a search by proxy alone finds, against the truth of training.

Hidden covariance with several searchers, floors under the size of the states, and seeds; the three best of each are
trained. A choice among them was made on some seeds, and others say what it is worth. Searches and trainings are
resumable under ``runs``.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from experiments.commands import search
from experiments.guard import guarded
from experiments.mini.pilot import RESULTS, WORKERS
from experiments.paper.runs import composed
from experiments.paper.tables import save, saved
from nas import judge
from nas.core import seeds
from nas.core.files import versions
from nas.engine.evaluate import Evaluator
from nas.settings import RankSettings, make
from spaces.base import Space
from spaces.record import Needs, Probe
from spaces.rnn import NAMED_CELLS, named_cell

__all__ = ["CHOSEN", "main", "state_deviation"]

#: the searcher chosen, and its floor: the smallest standard deviation of the states. RNN, LSTM and GRU are over it
#: by a factor of two and more, and what evolution ends at without one is under it by a factor of fifty
CHOSEN = ("random", 0.0005)

#: a floor of about the plain RNN's own deviation, which leaves out the LSTM and the GRU
_HIGH = 0.03
#: searcher, floors and seeds that the choice is made on
_CHOICE = (
    ("evolution", (0.0, 0.001, 0.01, _HIGH), (10, 11)),
    ("evolution", (0.0, _HIGH), (0, 1, 2)),
    ("random", (0.0, CHOSEN[1], _HIGH), (0, 1, 2)),
)
#: those that say what it is worth
_TEST = (
    ("evolution", (_HIGH,), (20, 21, 22)),
    ("evolution", (CHOSEN[1],), (20, 21, 22)),
    ("random", (_HIGH,), (20, 21, 22)),
    ("random", (CHOSEN[1],), (20, 21, 22, 23, 24, 25)),
)
#: seeds at which the known cells are looked at, and cells that are drawn
_SEEDS = 20
_DRAWN = 300


def main() -> None:
    """Searches, trains and writes results/searches.json; what it holds of a search already is not done again."""
    path = RESULTS / "searches.json"
    before = saved(path).get("runs", [])
    done = {(run["role"], run["searcher"], run["floor"], run["seed"]): run for run in before}
    wanted = [
        (role, searcher, floor, seed)
        for role, rows in (("choice", _CHOICE), ("test", _TEST))
        for searcher, floors, chosen in rows
        for floor in floors
        for seed in chosen
    ]
    rest = {"drawn": _drawn(), **_deviations(), "versions": versions()}
    for one in wanted:
        if one not in done:
            done[one] = {"role": one[0], **_searched(*one[1:])}
            save(path, {"runs": [done[key] for key in wanted if key in done], **rest})
    save(path, {"runs": [done[key] for key in wanted], **rest})


def state_deviation(space: Space[Any], probe: Probe, cell: Any, seed: int) -> float:
    """Returns what ``proxies.hidden_covariance.floor`` looks at: the states' standard deviation, median over units."""
    hidden = probe.observe(space, cell, Needs(frozenset({"forward"}), layers=1), seed).hidden[0]
    return float(hidden.double().flatten(0, 1).std(dim=0).median())


def _deviations() -> dict[str, Any]:
    """How large the states of the known cells are, over some seeds, and those of the cells that are drawn."""
    settings = make(_composed("rank", 0.0, "benchmark=mini_rnn"), RankSettings)
    table, space = settings.needed_truth(), settings.space
    known = {}
    for name in NAMED_CELLS:
        cell = named_cell(name)
        found = [state_deviation(space, settings.probe, cell, seed) for seed in range(_SEEDS)]
        entry = table.by_key[cell.key]
        known[name] = {
            "median": statistics.median(found),
            "least": min(found),
            "loss": entry.value,
            "rank": table.place(entry).rank,
            "drawn": space.draws(cell),
        }
    cells = [space.sample(seeds.generator(0, "state deviation", i)) for i in range(_DRAWN)]
    drawn = [state_deviation(space, settings.probe, cell, 0) for cell in cells]
    return {"known_seeds": _SEEDS, "known": known, "drawn_median": statistics.median(drawn)}


def _drawn() -> dict[str, dict[str, Any]]:
    """What three random cells of the table give: of all, of the reduced space, and of its cells over the floor.

    So what the reduction and the floor give by themselves is told apart from what the proxy gives.
    """
    settings = make(_composed("rank", CHOSEN[1], "benchmark=mini_rnn"), RankSettings)
    table, fitness = settings.needed_truth(), settings.fitness
    cells = [member.architecture for member in table.members]
    stable = [c for c in cells if settings.space.contains(c)]
    with Evaluator(settings.scorer()) as evaluator:
        over = {e.key for e in evaluator.map(stable) if e.scores[fitness].reason != "vanishing units"}
    pools = {
        "all": cells,
        "reduction=stable": stable,
        "reduction=stable, over the floor": [c for c in stable if c.key in over],
    }
    found = {}
    for name, pool in pools.items():
        regrets = [table.place(entry).regret for c in pool if (entry := table.lookup(c)) is not None]
        expected = judge.random_regret(regrets, 3, len(pool) - len(regrets))[-1]
        found[name] = {"cells": len(pool), "diverged": len(pool) - len(regrets), "regret of three": expected}
    return found


def _composed(command: str, floor: float, *overrides: str) -> dict[str, Any]:
    return composed(command, "reduction=stable", f"proxies.hidden_covariance.floor={floor}", *overrides)


def _searched(searcher: str, floor: float, seed: int) -> dict[str, Any]:
    folder = Path("runs") / "mini" / f"search_{searcher}_{floor}_{seed}"
    verified = ("verify=3", "truth=train", f"executor.workers={WORKERS}")
    results = search.run(
        _composed("search", floor, f"searcher={searcher}", f"seed={seed}", f"run.dir={folder}", *verified)
    )
    found = results["found"]
    return {
        "searcher": searcher,
        "floor": floor,
        "seed": seed,
        "losses": [query["truth"] for query in results["queries"]],  # null: diverged
        "found": found["key"],
        "standing": found["standing"],
    }


if __name__ == "__main__":
    sys.exit(guarded(main))
