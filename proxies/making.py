"""Makes proxies by their registered names, with options that are checked and told by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import spaces
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import construct, parameters
from proxies.base import PROXIES, Proxy
from proxies.names import proxy_of

__all__ = ["get", "listed", "options_of", "spaces_of"]


def _definitions(name: str) -> dict[str, type[Proxy]]:
    """Returns space ("" for all) -> class of what is registered as ``name``, that for all spaces first."""
    if isinstance(name, str) and name not in PROXIES and proxy_of(name) in PROXIES:
        raise ZeronasError(f"Unknown proxy '{name}'. Did you mean '{proxy_of(name)}', as it is called here?")
    return dict(sorted(PROXIES.kinds(name).items(), key=lambda item: item[0] != ""))


def _options(kind: type[Proxy]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in parameters(kind).items()}


def options_of(name: str) -> dict[str, Any]:
    """Returns option -> default of the proxy registered as ``name``, those of all its definitions together.

    Raises:
        ZeronasError: unknown proxy; a paper's own name is told ours.
    """
    together: dict[str, Any] = {}
    for kind in _definitions(name).values():
        together = {**_options(kind), **together}
    return together


def spaces_of(name: str) -> list[str]:
    """Returns the spaces that a proxy applies to: those whose probe gives what it needs by default.

    Raises:
        ZeronasError: unknown proxy; a paper's own name is told ours.
    """
    kinds, found = _definitions(name), []
    for space in spaces.SPACES:
        kind, probe = kinds.get(space, kinds.get("")), spaces.get(space).probe
        if kind is not None and probe is not None and kind().needs <= probe.gives:
            found.append(space)
    return found


def listed(wanted: Mapping[str, Mapping[str, Any]], space: str, prefix: str) -> dict[str, Proxy]:
    """Returns the proxies that a space lists by label (``Space.gate``, ``Space.views``), their labels prefixed.

    Raises:
        ZeronasError: as ``get``.
    """
    made = {}
    for label, options in wanted.items():
        given = dict(options)
        made[f"{prefix}{label}"] = get(given.pop("name"), space, **given)
    return made


def get(name: str, space: str | None = None, /, **options: Any) -> Proxy:
    """Returns the proxy registered as ``name`` with its options.

    Args:
        space: the space it is for, where a metric is defined anew for one; by default the definition for all. Options
            that only another space's definition has are checked and left out.

    Raises:
        ZeronasError: unknown proxy, no definition for the space, unknown option, or an option out of its range.
    """
    kinds = _definitions(name)
    accepted = options_of(name)
    for option in options:
        if option not in accepted:
            hint = did_you_mean(option, accepted) if accepted else " It has none."
            raise ZeronasError(f"Proxy '{name}' has no option '{option}'.{hint}")
    kind = PROXIES.get(name, space or "")
    if space and kind not in (kinds.get(space), kinds.get("")):
        raise ZeronasError(f"Proxy '{name}' does not apply to space '{space}', only to: {', '.join(kinds)}.")
    own, owner = _options(kind), f"Proxy '{name}'"
    for other in kinds.values():
        alien = {key: value for key, value in options.items() if key in _options(other) and key not in own}
        if alien:
            construct(other, owner, alien)
    made = construct(kind, owner, {key: value for key, value in options.items() if key in own})
    return made.within(space) if space else made
