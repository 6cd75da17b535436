"""Zero-cost proxies: probes that look at an untrained architecture once, and pure functions of what they saw."""

from __future__ import annotations

from typing import Any

from nas.errors import ZeronasError, did_you_mean
from proxies import control, covariance, sizes
from proxies.base import PROXIES, Needs, Proxy, ProxyFailure, Record, Score

__all__ = [
    "PROXIES",
    "Needs",
    "Proxy",
    "ProxyFailure",
    "Record",
    "Score",
    "control",
    "covariance",
    "get",
    "options_of",
    "sizes",
]


def options_of(name: str) -> dict[str, Any]:
    """Returns option -> default of the proxy registered as ``name``."""
    import inspect

    signature = inspect.signature(PROXIES.get(name).__init__)
    return {
        key: parameter.default
        for key, parameter in signature.parameters.items()
        if key != "self" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }


def get(name: str, **options: Any) -> Proxy:
    """Returns the proxy registered as ``name`` with its options.

    Raises:
        ZeronasError: unknown proxy, unknown option, or an option out of its range.
    """
    kind = PROXIES.get(name)
    accepted = options_of(name)
    for option in options:
        if option not in accepted:
            if not accepted:
                raise ZeronasError(f"Proxy '{name}' has no options, but got '{option}'.")
            raise ZeronasError(f"Proxy '{name}' has no option '{option}'.{did_you_mean(option, accepted)}")
    return kind(**options)
