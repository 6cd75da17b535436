"""How a perceptron is built, and what a probe sees of it untrained."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from nas.core import seeds
from nas.core.options import Size
from spaces.record import Need, Needs, Record

INPUTS = 16


def built(architecture: Any) -> Any:
    """Returns the torch module: a linear and an activation function for each layer."""
    from torch import nn

    sizes, activation = [INPUTS, *[architecture.width] * architecture.depth], getattr(nn, architecture.activation)
    return nn.Sequential(*(one for pair in pairwise(sizes) for one in (nn.Linear(*pair), activation())))


@dataclass(frozen=True)
class MlpProbe:
    """One forward pass of normal inputs; its fields are settings, such as probe.mlp.batch=512."""

    gives: ClassVar[frozenset[Need]] = frozenset({"shapes", "forward"})
    batch: Size = 256

    def observe(self, space: Any, architecture: Any, needs: Needs, seed: int, device: str = "cpu") -> Record:
        """Returns the record, with the states after each layer that was asked for."""
        import torch

        record = Record.of(space, architecture, needs, seed)
        if needs.to_run:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(seeds.integer(seed, architecture.key, "weights"))
                states = torch.randn(self.batch, INPUTS)
                for place, module in enumerate(built(architecture)):
                    states = module(states)
                    if place % 2:  # after the activation function
                        record.hidden.append(states[None])  # (B, d) -> (1, B, d)
        return record
