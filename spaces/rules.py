"""Search-space reduction: a declarative rule that sampling and every operator of a space obey.

A rule names features of an architecture and what is allowed of each::

    {"hidden_size": 256, "layers": 4}                     # one value
    {"num_operation_heads": [4], "layers": [2, 4]}        # one of these (of every layer, for per-layer features)
    {"linears": {"min": 2, "max": 5}}                     # a range, ends included
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import shown

__all__ = ["Feature", "Rule", "Value"]

Value = int | float | str

_LARGEST = 10**18  # of a bound: larger numbers do not fit in a float, and no feature comes near


@dataclass(frozen=True)
class Feature:
    """A named feature of a space's architectures that rules, tables and analyses refer to.

    Attributes:
        choices: the values it can take, or None for a number that is only bounded.
        low, high: bounds of a number (ignored where there are choices).
        per_layer: whether an architecture has one value per layer; a rule then binds every layer.
        doc: one line that says what it counts or names.
    """

    choices: tuple[Value, ...] | None = None
    low: float = 0
    high: float = math.inf
    per_layer: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Rule:
    """What is allowed of each named feature. An empty rule allows everything.

    Attributes:
        allowed: feature name -> the values it may take.
        between: feature name -> (min, max), ends included.
    """

    allowed: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    between: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, conditions: Mapping[str, Any] | None, features: Mapping[str, Feature], space: str) -> Rule:
        """Reads a rule given as ``{feature: value | [values] | {min, max}}``.

        Raises:
            ZeronasError: unknown feature, a value the feature cannot take, or an empty range.
        """
        allowed: dict[str, tuple[Value, ...]] = {}
        between: dict[str, tuple[float, float]] = {}
        for name, condition in (conditions or {}).items():
            if name not in features:
                raise ZeronasError(
                    f"The reduction names {shown(name)}, which is no feature of space '{space}'."
                    f"{did_you_mean(name, features)}"
                )
            feature = features[name]
            if isinstance(condition, Mapping):
                between[name] = _range(name, condition, feature)
            else:
                values = tuple(condition) if isinstance(condition, (list, tuple)) else (condition,)
                allowed[name] = _values(name, values, feature)
        return cls(allowed, between)

    def allows(self, described: Mapping[str, Any]) -> bool:
        """Returns whether an architecture, described as feature -> value (or tuple of values), obeys the rule."""
        for name, values in self.allowed.items():
            if any(item not in values for item in _items(described[name])):
                return False
        for name, (low, high) in self.between.items():
            if any(not low <= item <= high for item in _items(described[name])):
                return False
        return True

    def excess(self, described: Mapping[str, Any]) -> float:
        """Returns how far an architecture is from what the rule allows: 0 where it obeys, more where it is further.

        A number counts by its distance from the nearest one allowed, as a share of that one (of 1 below 1); a name that
        is not allowed counts 1.
        """
        total = 0.0
        for name, values in self.allowed.items():
            total += sum(min(_apart(item, value) for value in values) for item in _items(described[name]))
        for name, (low, high) in self.between.items():
            total += sum(_apart(item, min(max(item, low), high)) for item in _items(described[name]))
        return total

    def choices(self, name: str, default: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns those of the ``default`` choices of a feature that the rule allows, in their order."""
        kept = default
        if name in self.allowed:
            kept = tuple(v for v in kept if v in self.allowed[name])
        if name in self.between:
            low, high = self.between[name]
            kept = tuple(v for v in kept if low <= v <= high)
        return kept

    def restricted(self, new: Rule) -> Rule:
        """Returns this rule and another together: what either forbids is forbidden.

        Raises:
            ZeronasError: a feature is left without any value.
        """
        allowed, between = dict(self.allowed), dict(self.between)
        for name, values in new.allowed.items():
            allowed[name] = tuple(v for v in values if name not in allowed or v in allowed[name])
            if not allowed[name]:
                raise ZeronasError(
                    f"The reduction wants {name} to be one of {list(values)}, "
                    f"but the space has only {list(self.allowed[name])}."
                )
        for name, (low, high) in new.between.items():
            before = between.get(name, (low, high))
            between[name] = (max(low, before[0]), min(high, before[1]))
            if between[name][0] > between[name][1]:
                raise ZeronasError(
                    f"The reduction wants {name} from {low:g} to {high:g}, but the space has only "
                    f"{before[0]:g} to {before[1]:g}."
                )
        return Rule(allowed, between)

    def names(self) -> set[str]:
        """Returns the features the rule binds."""
        return {*self.allowed, *self.between}

    def to_json(self) -> dict[str, Any]:
        """Returns the rule in the form that ``parse`` reads."""
        out: dict[str, Any] = {name: list(values) for name, values in self.allowed.items()}
        out.update({name: {"min": low, "max": high} for name, (low, high) in self.between.items()})
        return dict(sorted(out.items()))

    def __bool__(self) -> bool:
        return bool(self.allowed or self.between)


def _apart(item: Value, allowed: Value) -> float:
    if item == allowed:
        return 0.0
    if isinstance(item, str) or isinstance(allowed, str):
        return 1.0
    return abs(item - allowed) / max(1.0, abs(allowed))


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _values(name: str, values: tuple[Any, ...], feature: Feature) -> tuple[Value, ...]:
    if not values:
        raise ZeronasError(f"The reduction allows no value at all for '{name}': [] was given, at least one is needed.")
    for value in values:
        if feature.choices is not None and (isinstance(value, bool) or value not in feature.choices):
            accepted = ", ".join(str(c) for c in feature.choices)
            raise ZeronasError(f"The reduction wants {name}={shown(value)}, but {name} takes one of: {accepted}.")
        if feature.choices is None and not _within(value, feature):
            raise ZeronasError(
                f"The reduction wants {name}={shown(value)}, but {name} is a number from {feature.low:g} "
                f"to {feature.high:g}."
            )
    return values


def _within(value: Any, feature: Feature) -> bool:
    return _is_number(value) and feature.low <= value <= feature.high


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _range(name: str, condition: Mapping[str, Any], feature: Feature) -> tuple[float, float]:
    unknown = sorted(str(key) for key in set(condition) - {"min", "max"})
    if unknown:
        raise ZeronasError(
            f"The reduction's range for '{name}' has the key {shown(unknown[0])}; only min and max are accepted."
        )
    low, high = condition.get("min", -math.inf), condition.get("max", math.inf)
    for bound in (low, high):
        if not _is_number(bound) or (isinstance(bound, int) and abs(bound) > _LARGEST):
            raise ZeronasError(
                f"The reduction's range for '{name}' has the bound {shown(bound)}; a number up to 1e18 is needed."
            )
    if low > high:
        raise ZeronasError(f"The reduction needs min <= max for '{name}', but got (min={low:g}, max={high:g}).")
    numbers = [c for c in feature.choices or () if isinstance(c, (int, float))]
    if feature.choices is not None and not any(low <= c <= high for c in numbers):
        accepted = ", ".join(str(c) for c in feature.choices)
        raise ZeronasError(
            f"The reduction's range [{low:g}, {high:g}] for '{name}' holds none of its values: {accepted}."
        )
    return float(low), float(high)
