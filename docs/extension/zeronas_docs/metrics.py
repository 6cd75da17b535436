"""The page of every metric: two tables of what each is worth, and a section for each registered proxy.

What a proxy is comes from the registry and its docstring, its equation from ``zeronas_docs.equations``, and what it is
worth from ``experiments/proxies/results/tables.json`` and ``experiments/paper/results``.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import proxies
from experiments.paper.metrics import bert_metrics, rnn_metrics
from experiments.paper.runs import RESULTS as PAPER
from experiments.proxies.published import PUBLISHED, RESULTS, SOURCES
from experiments.proxies.tables import TABLES, labelled
from nas.report.tables import estimate
from proxies.base import PROXIES, Proxy
from zeronas_docs.docstrings import prepared
from zeronas_docs.equations import EQUATIONS

__all__ = ["TITLES", "Measured", "measured", "names", "setup"]

#: table -> how a reader calls it
TITLES = {
    "nas_bench_nlp": "NAS-Bench-NLP",
    "mini_rnn": "mini_rnn",
    "flexibert": "FlexiBERT",
    "mini_bert": "mini_bert",
}
_SPACES = {"rnn": "cells", "bert": "BERT configurations", "": "all other spaces"}


def names() -> list[str]:
    """Returns the proxies of zeronas itself, in the order of their names; those of plug-ins are left out."""
    return sorted(name for name in PROXIES if PROXIES.get(name).__module__.startswith("proxies."))


@dataclass(frozen=True)
class Measured:
    """What was measured of one choice of options of a proxy on one table.

    Attributes:
        name: of the proxy.
        label: that the results give to it.
        options: those that differ from the defaults, as they are typed.
        judged: its agreement with the truth over all architectures.
    """

    table: str
    name: str
    label: str
    options: str
    judged: Mapping[str, Any] | None

    @property
    def tau(self) -> str:
        """Kendall's tau with ties broken, and its 95% interval."""
        return estimate(self.judged, "tie_broken")

    @property
    def order(self) -> float:
        """The tau by which a table is sorted; what has none comes last."""
        value = (self.judged or {}).get("tie_broken")
        return -2.0 if value is None or value != value else float(value)

    @property
    def published(self) -> str:
        """What was published of it on this table, with the short name of the work."""
        claims, _ = PUBLISHED.get(self.table, {}).get(self.label, ((), ""))
        said = [(f"{c.tau:.3f}" if c.tau is not None else f"rho {c.rho:.3f}", c.source) for c in claims]
        return ", ".join(f"{figure} ({source})" for figure, source in said)

    @property
    def differs(self) -> str:
        """What differs between the published figure and ours, "" where nothing was published."""
        return PUBLISHED.get(self.table, {}).get(self.label, ((), ""))[1]


@cache
def measured(table: str) -> list[Measured]:
    """Returns what was measured on a table, the highest tau first."""
    data = json.loads((RESULTS / "tables.json").read_text(encoding="utf-8"))[table]["proxies"]
    chosen, found = labelled(table), []
    for label, judged in data.items():
        typed = " ".join(f"{key}={value}" for key, value in chosen[label].items() if key != "name")
        found.append(Measured(table, chosen[label]["name"], label, typed, judged["agreement_all"]))
    return sorted(found, key=lambda one: -one.order)


def overview(space: str) -> list[str]:
    """Returns the lines of a table of what is worth how much on the two tables of a space."""
    first, second = [table for table in TITLES if TABLES[table][0] == space]
    others = {one.label: one for one in measured(second)}
    header = ["proxy", f"tau on {TITLES[first]}", f"tau on {TITLES[second]}", f"published, {TITLES[first]}"]
    lines = [".. list-table::", "   :header-rows: 1", "   :class: worth", "", *_row(header)]
    for one in measured(first):
        title = f":ref:`{one.name} <metric-{one.name}>`" + (f" ``{one.options}``" if one.options else "")
        lines += _row([title, one.tau, others[one.label].tau, one.published])
    return lines


def _row(cells: list[str]) -> list[str]:
    return [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(cells)]


@cache
def replayed() -> dict[str, list[tuple[str, str, float, int]]]:
    """Returns proxy -> (options, published column, Spearman of ours with it, trainings) of the released variants."""
    found: dict[str, list[tuple[str, str, float, int]]] = {}
    for file, metrics in (("rnn_published.json", rnn_metrics), ("bert_published.json", bert_metrics)):
        data = json.loads((PAPER / file).read_text(encoding="utf-8"))["proxies"]
        for label, options in metrics("released").items():
            beside = (data[label].get("runs") or {}).get("published")
            if beside:
                chosen = " ".join(f"{k}={str(v).lower()}" for k, v in options.items() if k != "name")
                told = (chosen, beside["column"], beside["spearman"], beside["count"])
                found.setdefault(options["name"], []).append(told)
    return found


def section(name: str) -> list[str]:
    """Returns the lines of the section of a proxy."""
    kinds: dict[str, type[Proxy]] = PROXIES.kinds(name)
    kind = next(iter(kinds.values()))
    lines = [f".. _metric-{name}:", "", f"``{name}``", "-" * (len(name) + 4), ""]
    for equation in EQUATIONS[name]:
        lines += [f"For {_SPACES[equation.space or 'rnn']}:", ""] if len(EQUATIONS[name]) > 1 else []
        lines += [".. math::", "", f"   {equation.tex}", ""] if equation.tex else []
        where = equation.where if equation.tex else equation.where[0].upper() + equation.where[1:]
        lines += [f"{where}.", ""]
    defaults = ", ".join(f"``{key}={_typed(value)}``" for key, value in proxies.options_of(name).items())
    lines += [
        ".. rst-class:: facts",
        "",
        f":Title: {kind.title}",
        f":Source: {kind.source}",
        f":Needs: {', '.join(sorted(kind.needs)) or 'nothing'}",
        f":Better: {'higher' if kind.higher_is_better else 'lower'}",
        f":Spaces: {', '.join(space for space in proxies.spaces_of(name) if space in ('rnn', 'bert', 'table'))}",
        f":Options: {defaults or 'none'}",
        "",
    ]
    lines += _worth(name)
    for space, each in kinds.items():
        if len(kinds) > 1:
            lines += [f".. rubric:: Definition for {_SPACES[space]}", ""]
        lines += [*_told(each), ""]
        lines += [f"Reference: :class:`~{each.__module__}.{each.__qualname__}`.", ""]
    return lines


def _typed(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _worth(name: str) -> list[str]:
    rows = [one for table in TITLES for one in measured(table) if one.name == name]
    lines: list[str] = []
    if rows:
        lines += [".. list-table::", "   :header-rows: 1", "   :class: worth", ""]
        lines += _row(["table", "tau, ties broken [95%]", "published"])
        for one in rows:
            options = f" ``{one.options}``" if one.options else ""
            lines += _row([TITLES[one.table] + options, one.tau, one.published])
        lines += [""]
        differs = dict.fromkeys(f"{TITLES[one.table]}: {one.differs}." for one in rows if one.differs)
        lines += [line for text in differs for line in (text, "")]
    for options, column, spearman, count in replayed().get(name, ()):
        lines.append(f"- ``{options}`` has Spearman {spearman:.4f} with the published column “{column}”")
        lines.append(f"  ({count:,} trainings).")
    return [*lines, ""]


def _told(kind: type[Proxy]) -> list[str]:
    """Returns the docstring up to its arguments, which the reference has."""
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    end = next((i for i, line in enumerate(lines) if re.fullmatch(r"(Args|Raises|Attributes):", line)), len(lines))
    return prepared(lines[:end])


class Overview(SphinxDirective):
    """``.. worth:: SPACE``: the table of what every proxy is worth on the two tables of a space."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Returns the table."""
        return self.parse_text_to_nodes("\n".join(overview(self.arguments[0])))


class Metrics(SphinxDirective):
    """``.. metrics::``: a section for each proxy."""

    def run(self) -> list[nodes.Node]:
        """Returns the sections."""
        lines = [line for name in names() for line in section(name)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Sources(SphinxDirective):
    """``.. sources::``: the short names of the works that published figures are from."""

    def run(self) -> list[nodes.Node]:
        """Returns the list."""
        lines = [f":{short}: {work}" for short, work in SOURCES.items()]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> None:
    """Adds the directives."""
    for name, directive in (("worth", Overview), ("metrics", Metrics), ("sources", Sources)):
        app.add_directive(name, directive)
