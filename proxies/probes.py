"""Finds the probe of a space from named settings (``conf/probe``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import checked, mapping
from spaces.bert.probe import BertProbe
from spaces.rnn.probe import RNNProbe

__all__ = ["PROBES", "probe_for"]

#: space -> class of its probe
PROBES: dict[str, type[RNNProbe] | type[BertProbe]] = {"rnn": RNNProbe, "bert": BertProbe}


def probe_for(space: str, settings: Mapping[str, Any]) -> RNNProbe | BertProbe:
    """Returns the probe of a space; ``settings`` maps space names to the fields of their probe class.

    Raises:
        ZeronasError: the settings have no part for the space, or a field is unknown or out of its range.
    """
    if space not in settings or space not in PROBES:
        raise ZeronasError(f"The probe has no settings for space '{space}'.{did_you_mean(space, settings)}")
    defaults = {field.name: field.default for field in dataclasses.fields(PROBES[space])}
    given = mapping(settings, space, f"probe.{space}.steps=20")
    for name in given:
        if name not in defaults:
            raise ZeronasError(f"The probe of space '{space}' has no setting '{name}'.{did_you_mean(name, defaults)}")
    return PROBES[space](**checked(f"The probe of space '{space}'", given, defaults))
