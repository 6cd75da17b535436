"""Multi-layer perceptrons: a depth, a width and an activation function."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from mlp_space.probe import MlpProbe, built
from nas.core.errors import ZeronasError
from spaces import SPACES, Counts, Feature, Rule, Space

CONFIGURATION = "mlp_space.conf"  # the package that holds the settings
GENES: dict[str, tuple[Any, ...]] = {"depth": (1, 2, 3, 4, 5), "width": (16, 32, 64), "activation": ("Tanh", "ReLU")}


@dataclass(frozen=True)
class Mlp:
    depth: int
    width: int
    activation: str

    @property
    def key(self) -> str:
        return "mlp-" + f"{self.depth}-{self.width}-{self.activation}".encode().hex()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_graph(self) -> Any:
        import networkx as nx

        graph = nx.path_graph(self.depth + 1, create_using=nx.DiGraph)
        layers = ["inputs", *[f"linear {self.width}\n{self.activation}"] * self.depth]
        nx.set_node_attributes(graph, dict(enumerate(layers)), "op")
        return graph


@SPACES.register("mlp")
class MlpSpace(Space[Mlp]):
    name, probe = "mlp", MlpProbe
    feature_specs: ClassVar = {name: Feature(choices) for name, choices in GENES.items()}

    def __init__(self, rule: Rule | None = None) -> None:
        self.rule = rule or Rule()

    def reduce(self, conditions: Mapping[str, Any] | None) -> "MlpSpace":
        return MlpSpace(self.rule.restricted(Rule.parse(conditions, self.feature_specs, self.name)))

    def parse(self, data: Any) -> Mlp:
        genes = json.loads(data) if isinstance(data, str | bytes) else data
        if not isinstance(genes, dict) or set(genes) != set(GENES) or any(genes[n] not in GENES[n] for n in GENES):
            raise ZeronasError(f"An mlp has a depth, a width and an activation of {GENES}, but got {genes}.")
        return Mlp(**genes)

    def describe(self, architecture: Mlp) -> dict[str, Any]:
        return asdict(architecture)

    def features(self, architecture: Mlp) -> Any:
        return np.array([float(getattr(architecture, n) == value) for n in GENES for value in GENES[n]])

    def counts(self, architecture: Mlp) -> Counts:
        parameters = sum(p.numel() for p in built(architecture).parameters())
        return Counts(parameters, None, architecture.depth, architecture.width)

    def build(self, architecture: Mlp, **sizes: Any) -> Any:
        return built(architecture)

    def neighbours(self, architecture: Mlp) -> Iterator[Mlp]:
        near = [replace(architecture, **{name: value}) for name in GENES for value in GENES[name]]
        return (one for one in near if one != architecture and self.contains(one))

    def _sample(self, rng: np.random.Generator) -> Mlp:
        return Mlp(*(choices[rng.integers(len(choices))] for choices in GENES.values()))

    def _mutate(self, architecture: Mlp, rng: np.random.Generator) -> Mlp | None:
        near = list(self.neighbours(architecture))
        return near[rng.integers(len(near))] if near else None

    def _crossover(self, first: Mlp, second: Mlp, rng: np.random.Generator) -> Mlp:
        return replace(first, width=second.width, activation=second.activation)
