"""``python -m experiments.proxies.evolved``: proxies found by genetic programming, for cells and for BERT.

Each is one run of ``zeronas evolve-proxy`` (resumable, under ``runs/proxies``). Arguments name the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.commands import evolve_proxy
from experiments.guard import guarded, named
from experiments.paper.runs import composed
from experiments.paper.tables import save, saved
from experiments.proxies.published import RESULTS

__all__ = ["RESULTS", "RUNS", "main"]

#: table that formulas are designed on half of -> overrides
RUNS: dict[str, tuple[str, ...]] = {
    "nas_bench_nlp": ("space=rnn", "probe=deep", "architectures=200"),
    "flexibert": (
        *("space=bert", "bert_reading=trained", "probe.bert.batch=4", "probe.bert.steps=16"),
        "architectures=80",
        "baselines=[parameters,flops,depth,zerolm,nsc,softmax_confidence,hidden_covariance,jacobian_cosine]",
    ),
}
_KEPT = ("architectures", "formulas", "baselines", "best_baseline", "asked", "rejected", "versions")


def main() -> None:
    """Evolves and writes results/evolved.json; tables that are not asked for keep what the file holds."""
    path = RESULTS / "evolved.json"
    found = saved(path)
    for name in named(RUNS, "table"):
        folder = Path("runs") / "proxies" / f"evolved_{name}"
        results = evolve_proxy.run(composed("evolve_proxy", f"benchmark={name}", *RUNS[name], f"run.dir={folder}"))
        found[name] = _kept(results, RUNS[name])
        save(path, {table: found[table] for table in RUNS if table in found})


def _kept(results: Mapping[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    first, last = results["generations"][0], results["generations"][-1]
    return {
        "settings": list(overrides),
        **{what: results[what] for what in _KEPT},
        "generations": len(results["generations"]),
        "first": {half: first[half] for half in ("design", "reported")},
        "last": {half: last[half] for half in ("design", "reported")},
    }


if __name__ == "__main__":
    sys.exit(guarded(main))
