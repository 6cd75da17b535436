"""Finds the probe of a space from named settings (``conf/probe``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import construct, shown
from spaces.bert.probe import BertProbe
from spaces.rnn.probe import RNNProbe

__all__ = ["PROBES", "probe_for"]

#: space -> class of its probe
PROBES: dict[str, type[RNNProbe] | type[BertProbe]] = {"rnn": RNNProbe, "bert": BertProbe}


def probe_for(space: str, settings: Mapping[str, Any]) -> RNNProbe | BertProbe:
    """Returns the probe of a space; ``settings`` maps space names to the fields of their probe class.

    Raises:
        ZeronasError: the settings have no part for the space, or those of an unknown one, or a
            field is unknown or out of its range.
    """
    made = {}
    for name, options in settings.items():  # those of the other spaces are checked too
        if name not in PROBES:
            raise ZeronasError(f"The probe has no settings for {shown(name)}, no space.{did_you_mean(name, PROBES)}")
        kind: Callable[..., RNNProbe | BertProbe] = PROBES[name]
        made[name] = construct(kind, f"The probe of space '{name}'", options)
    if space not in made:
        raise ZeronasError(f"The probe has no settings for space '{space}'.{did_you_mean(space, settings)}")
    return made[space]
