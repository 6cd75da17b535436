"""Reports from templates: the prose lies in a jinja2 template of a package, the numbers in it all come from data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nas.core.files import number
from nas.report.tables import estimate, failures, markdown_table

__all__ = ["render"]


def render(package: str, template: str, context: Mapping[str, Any]) -> str:
    """Returns ``templates/TEMPLATE`` of a package, filled in.

    Beside jinja2's own, templates have the filters ``number`` (significant digits), ``fixed`` (decimals, "n/a" for
    None), ``signed`` (three decimals and the sign, for correlations), ``percent``, ``thousands``, ``estimate`` (tau
    and its interval) and ``failures``, and the function ``table`` (header, rows). A name that the context lacks is an
    error.
    """
    environment = Environment(
        loader=PackageLoader(package, "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=number,
        fixed=_fixed,
        signed=lambda value: _fixed(value, 3, "+"),
        percent=lambda value, digits=0: f"{value:.{digits}%}",
        thousands=lambda value: f"{value:,}",
        estimate=partial(estimate, signed=True),
        failures=failures,
    )
    environment.globals["table"] = _table
    return environment.get_template(template).render(context)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return "\n".join(markdown_table(header, rows))


def _fixed(value: float | None, digits: int = 3, sign: str = "") -> str:
    return "n/a" if value is None else f"{value:{sign}.{digits}f}"
