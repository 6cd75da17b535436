"""Reductions: what a rule allows, and the exact sentence for each malformed one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nas.core.errors import ZeronasError
from spaces.rules import Feature, Rule

FEATURES = {
    "size": Feature(choices=(128, 256)),
    "kind": Feature(choices=("SA", "LT"), per_layer=True),
    "linears": Feature(low=0, high=9),
    "cost": Feature(low=0),
}


def parse(conditions: Any) -> Rule:
    return Rule.parse(conditions, FEATURES, "toy")


def test_an_empty_rule_allows_everything() -> None:
    for conditions in (None, {}):
        rule = parse(conditions)
        assert not rule and rule.allows({}) and rule.to_json() == {} and rule.names() == set()


def test_one_value_several_values_and_ranges() -> None:
    rule = parse({"size": 256, "kind": ["SA"], "linears": {"min": 2, "max": 5}})
    assert rule
    fits = {"size": 256, "kind": ("SA", "SA"), "linears": 2}
    assert rule.allows(fits) and rule.allows({**fits, "linears": 5})
    for changed in ({"size": 128}, {"kind": ("SA", "LT")}, {"linears": 1}, {"linears": 6}):
        assert not rule.allows({**fits, **changed})
    assert rule.names() == {"size", "kind", "linears"}


def test_open_ranges_and_per_layer_values() -> None:
    assert parse({"cost": {"min": 3}}).allows({"cost": 10**12}) and not parse({"cost": {"min": 3}}).allows({"cost": 2})
    assert parse({"cost": {"max": 3}}).allows({"cost": 3}) and not parse({"cost": {"max": 3}}).allows({"cost": 4})
    assert parse({"linears": {}}).allows({"linears": 9})
    assert parse({"linears": {"min": 1}}).allows({"linears": (1, 2)})
    assert not parse({"linears": {"min": 1}}).allows({"linears": (1, 0)})


def test_choices_keep_their_order() -> None:
    rule = parse({"size": [256, 128], "linears": {"min": 2, "max": 3}})
    assert rule.choices("size", (128, 256)) == (128, 256)
    assert rule.choices("linears", (1, 2, 3, 4)) == (2, 3)
    assert rule.choices("kind", ("SA", "LT")) == ("SA", "LT")
    assert parse({"size": {"min": 200}}).choices("size", (128, 256)) == (256,)


def test_json_form_is_read_back() -> None:
    for conditions in ({"size": 256}, {"kind": ["LT", "SA"], "linears": {"min": 2, "max": 5}}, {"cost": {"max": 9}}):
        rule = parse(conditions)
        assert parse(rule.to_json()) == rule


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        (
            {"linear": 3},
            "The reduction names 'linear', which is no feature of space 'toy'. Did you mean 'linears'? "
            "Available: cost, kind, linears, size.",
        ),
        (
            {"zzz": 3},
            "The reduction names 'zzz', which is no feature of space 'toy'. Available: cost, kind, linears, size.",
        ),
        ({"size": 512}, "The reduction wants size=512, but size takes one of: 128, 256."),
        ({"size": [128, 512]}, "The reduction wants size=512, but size takes one of: 128, 256."),
        ({"kind": "sa"}, "The reduction wants kind='sa', but kind takes one of: SA, LT."),
        ({"size": []}, "The reduction allows no value at all for 'size': [] was given, at least one is needed."),
        ({"linears": 10}, "The reduction wants linears=10, but linears is a number from 0 to 9."),
        ({"linears": "3"}, "The reduction wants linears='3', but linears is a number from 0 to 9."),
        ({"linears": True}, "The reduction wants linears=True, but linears is a number from 0 to 9."),
        ({"linears": None}, "The reduction wants linears=null, but linears is a number from 0 to 9."),
        ({"linears": math.nan}, "The reduction wants linears=nan, but linears is a number from 0 to 9."),
        ({"cost": -1}, "The reduction wants cost=-1, but cost is a number from 0 to inf."),
        (
            {"linears": {"minimum": 3}},
            "The reduction's range for 'linears' has the key 'minimum'; only min and max are accepted.",
        ),
        (
            {"linears": {"min": "3"}},
            "The reduction's range for 'linears' has the bound '3'; a number up to 1e18 is needed.",
        ),
        (
            {"linears": {"max": True}},
            "The reduction's range for 'linears' has the bound True; a number up to 1e18 is needed.",
        ),
        (
            {"linears": {"min": math.nan}},
            "The reduction's range for 'linears' has the bound nan; a number up to 1e18 is needed.",
        ),
        (
            {"linears": {"min": 4, "max": 2}},
            "The reduction needs min <= max for 'linears', but got (min=4, max=2).",
        ),
        (
            {"size": {"min": 130, "max": 200}},
            "The reduction's range [130, 200] for 'size' holds none of its values: 128, 256.",
        ),
        ({"kind": {"min": 1}}, "The reduction's range [1, inf] for 'kind' holds none of its values: SA, LT."),
    ],
)
def test_malformed_rules(conditions: Any, sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        parse(conditions)
    assert str(error.value) == sentence


def test_true_is_not_one() -> None:
    """A choice of whole numbers does not take a truth value."""
    features = {"states": Feature(choices=(1, 2, 3))}
    with pytest.raises(ZeronasError, match=r"^The reduction wants states=True, but states takes one of: 1, 2, 3\.$"):
        Rule.parse({"states": True}, features, "toy")


def test_how_far_an_architecture_is_from_what_is_allowed() -> None:
    """128 is half of 256 away; one layer of another kind counts 1; 7 is two fifths above 5, 0 two halves below 2."""
    rule = parse({"size": 256, "kind": ["SA"], "linears": {"min": 2, "max": 5}})
    fits = {"size": 256, "kind": ("SA", "SA"), "linears": 2}
    assert rule.excess(fits) == 0
    assert rule.excess({**fits, "size": 128}) == 0.5
    assert rule.excess({**fits, "kind": ("LT", "SA")}) == 1 and rule.excess({**fits, "kind": ("LT", "LT")}) == 2
    assert rule.excess({**fits, "linears": 7}) == 0.4 and rule.excess({**fits, "linears": 0}) == 1
    assert parse({"linears": {"max": 0}}).excess({"linears": 3}) == 3
