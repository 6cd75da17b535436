"""Why the published column "Activation Distance" of BERT configurations grows with the order of the runs."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["leaked_hooks"]


def leaked_hooks(layers: Sequence[int], fresh: Sequence[int] = (365,), before: int = 26) -> list[int]:
    """Returns by how many hooks the published column "Activation Distance" was multiplied, row by row.

    The released code hooks an activation module that all layers of all its models share, and never removes a hook:
    each network adds one hook a layer, and every activation is then recorded once a hook. The column is
    "Activation Distance Normalized" x activations x hooks in all 500 rows.

    Args:
        layers: depth of each network, in the order of their ids.
        fresh: ids at which a new session began, without any hooks.
        before: hooks that were there at the first network.
    """
    found, hooks = [], before
    for number, depth in enumerate(layers):
        hooks = (0 if number in fresh else hooks) + depth
        found.append(hooks)
    return found
