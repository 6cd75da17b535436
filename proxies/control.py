"""The control: a random number for each architecture. A metric that is no better has no signal."""

from __future__ import annotations

from nas.core import seeds
from proxies.base import PROXIES, Proxy, Record

__all__ = ["Random"]


@PROXIES.register("random")
class Random(Proxy):
    """A uniform number in [0, 1) that depends on the seed and the architecture's key alone."""

    name = "random"
    title = "random"
    source = "control"
    needs = frozenset()

    def __call__(self, record: Record) -> float:
        """Returns the number."""
        return float(seeds.generator(record.seed, record.key, "random proxy").random())
