"""Tables of a report: columns, Markdown, and how numbers are written in them."""

from __future__ import annotations

import math

from nas.report.tables import estimate, failures, markdown_table, mean_and_error, text_table


def test_columns_are_aligned_and_nothing_hangs_behind_a_line() -> None:
    found = text_table(["a", "number"], [["long one", "1"], ["b", "22"]], right=[1])
    assert found == ["a         number", "long one       1", "b             22"]
    assert text_table(["a", "b"], [["x", ""]]) == ["a  b", "x"]


def test_a_cell_may_hold_a_bar_or_two_spaces() -> None:
    assert markdown_table(["p", "q"], [["a|b", "two  spaces"]]) == [
        "| p | q |",
        "|---|---|",
        "| a\\|b | two  spaces |",
    ]


def test_estimates() -> None:
    judged = {"tau": 0.25, "tau_interval": (0.1, 0.4), "rho": -0.5, "rho_interval": (None, None)}
    assert estimate(judged) == "0.250 [0.100, 0.400]"
    assert estimate(judged, signed=True) == "+0.250 [+0.100, +0.400]"
    assert estimate(judged, "rho") == "-0.500"
    assert estimate({"tau": 0.25, "tau_interval": (math.nan, math.nan)}) == "0.250"
    assert estimate(None) == estimate({"tau": None, "tau_interval": (None, None)}) == "n/a"


def test_failures_and_means() -> None:
    assert failures({"failures": {"constant units": 7, "out of memory": 1}}) == "7 constant units, 1 out of memory"
    assert failures({"failures": {}}) == "0"
    assert mean_and_error({"mean": 0.083, "standard_error": 0.0163, "values": [1, 2]}) == "0.083 +- 0.016"
    assert mean_and_error({"mean": 0.083, "standard_error": 0.0, "values": [1]}) == "0.083 +- n/a"
