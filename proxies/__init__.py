"""Zero-cost proxies: probes that look at an untrained architecture once, and pure functions of what they saw."""

from __future__ import annotations

import inspect
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import checked
from proxies import activation, bert_metrics, capacity, control, covariance, jacobian, saliency, sizes, swap
from proxies.base import PROXIES, Needs, Proxy, ProxyFailure, Record, Score
from proxies.bert_metrics import BERT_IMPLEMENTATIONS
from proxies.names import proxy_of

__all__ = [
    "PROXIES",
    "Needs",
    "Proxy",
    "ProxyFailure",
    "Record",
    "Score",
    "activation",
    "bert_metrics",
    "capacity",
    "control",
    "covariance",
    "get",
    "jacobian",
    "kinds_of",
    "options_of",
    "saliency",
    "sizes",
    "swap",
]


def kinds_of(name: str) -> dict[str, type[Proxy]]:
    """Returns space -> class of the proxy registered as ``name``: some metrics are defined anew for each space.

    Raises:
        ZeronasError: unknown proxy; a paper's own name is told ours.
    """
    if name not in PROXIES and proxy_of(name) in PROXIES:
        raise ZeronasError(f"Unknown proxy '{name}'. Did you mean '{proxy_of(name)}', as it is called here?")
    kind = PROXIES.get(name)
    kinds = dict.fromkeys(kind.spaces, kind)
    if name in BERT_IMPLEMENTATIONS:
        kinds.setdefault("bert", BERT_IMPLEMENTATIONS[name])
    return kinds


def _options(kind: type[Proxy]) -> dict[str, Any]:
    signature = inspect.signature(kind.__init__)
    return {
        key: parameter.default
        for key, parameter in signature.parameters.items()
        if key != "self" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }


def options_of(name: str) -> dict[str, Any]:
    """Returns option -> default of the proxy registered as ``name``, those of all spaces together."""
    together: dict[str, Any] = {}
    for kind in kinds_of(name).values():
        together = {**_options(kind), **together}
    return together


def get(name: str, space: str | None = None, **options: Any) -> Proxy:
    """Returns the proxy registered as ``name`` with its options.

    Args:
        space: the space it is for, where a metric is defined anew for each; by default its first. Options that only
            the definition for another space has are left out.

    Raises:
        ZeronasError: unknown proxy, unknown option, or an option out of its range.
    """
    kinds = kinds_of(name)
    accepted = options_of(name)
    for option in options:
        if option not in accepted:
            if not accepted:
                raise ZeronasError(f"Proxy '{name}' has no options, but got '{option}'.")
            raise ZeronasError(f"Proxy '{name}' has no option '{option}'.{did_you_mean(option, accepted)}")
    checked(f"Proxy '{name}'", options, accepted)
    kind = kinds.get(space or "", PROXIES.get(name))
    return kind(**{key: value for key, value in options.items() if key in _options(kind)})
