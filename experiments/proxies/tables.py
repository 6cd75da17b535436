"""``python -m experiments.proxies.tables``: every proxy on every table, as ``zeronas rank`` judges it.

Rankings are resumable under ``runs/proxies``; what is scored already is not scored again. Arguments name the tables to
rank; by default all.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import proxies
from experiments.guard import guarded, named
from experiments.paper.metrics import Proxies
from experiments.paper.runs import ranked, read_results
from experiments.paper.tables import save, saved
from experiments.proxies.published import RESULTS

__all__ = ["RESULTS", "TABLES", "labelled", "main"]

#: table -> space, and overrides of the ranking
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "flexibert": ("bert", ("bert_reading=trained",)),
    "mini_bert": ("bert", ("bert_reading=stated",)),
    "nas_bench_nlp": ("rnn", ("probe=deep",)),
    "mini_rnn": ("rnn", ("probe=deep",)),
}
#: kept of what a ranking says of a proxy
_KEPT = (
    *("agreement_all", "agreement", "distinct", "like_size", "given_size", "top", "failures"),
    *("milliseconds", "milliseconds_scoring"),
)


def labelled(table: str) -> Proxies:
    """Returns label -> name and options of what is ranked: all proxies that apply, and the options worth a row."""
    space, _ = TABLES[table]
    found: Proxies = {name: {"name": name} for name in sorted(proxies.PROXIES) if space in proxies.spaces_of(name)}
    for name in ("expression", "rank_aggregation"):  # as good as the formula or the members that they are given
        found.pop(name, None)
    if space == "bert":
        found["nsc_product"] = {"name": "nsc", "aggregate": "product"}
    else:
        found["zeronas_short"] = {"name": "zeronas", "training": "short"}
        found |= {f"hidden_covariance_{layer}": {"name": "hidden_covariance", "layer": layer} for layer in (2, 3)}
    return found


def main() -> None:
    """Ranks and writes results/tables.json; tables that are not asked for keep what the file holds."""
    path = RESULTS / "tables.json"
    found = saved(path)
    for name in named(TABLES, "table"):
        space, overrides = TABLES[name]
        folder = ranked(f"tables_{name}", labelled(name), f"space={space}", f"benchmark={name}", *overrides,
                        "reference=views", group="proxies")  # fmt: skip
        found[name] = _kept(read_results(folder))
        save(path, {table: found[table] for table in TABLES if table in found})


def _kept(results: Mapping[str, Any]) -> dict[str, Any]:
    told = ("benchmark", "metric", "architectures", "diverged", "noise", "probe", "reference", "lot", "versions")
    kept = {what: results[what] for what in told if what in results}
    kept["proxies"] = {
        label: {what: one[what] for what in _KEPT if what in one} for label, one in results["proxies"].items()
    }
    return kept


if __name__ == "__main__":
    sys.exit(guarded(main))
