"""The probe of BERT configurations: one forward pass of an untrained encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas import seeds
from nas.errors import ZeronasError
from proxies.base import Needs, Record
from proxies.tokens import token_ids

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space
    from spaces.bert.config import BertConfig

__all__ = ["BertProbe"]

_LONGEST = 512


@dataclass(frozen=True)
class BertProbe:
    """Settings of the pass.

    Attributes:
        batch: examples B.
        steps: tokens T of an example, at most 512.
        vocabulary: rows of the word table; a small one changes no other module.
        train_mode: leave drop-out on, as the paper's released code does.
        text: path of a text to read instead of Zipf-distributed ids.
    """

    batch: int = 16
    steps: int = 32
    vocabulary: int = 1000
    train_mode: bool = False
    text: str | None = None

    def __post_init__(self) -> None:
        for name in ("batch", "steps", "vocabulary"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ZeronasError(f"The probe needs {name} to be a whole number of 1 or more, but got {value!r}.")
        if self.steps > _LONGEST:
            raise ZeronasError(f"The probe needs steps to be at most {_LONGEST} tokens, but got {self.steps}.")

    def observe(
        self, space: Space[Any], architecture: BertConfig, needs: Needs, seed: int, device: str = "cpu"
    ) -> Record:
        """Makes the record of one configuration under the space's reading."""
        record = Record(space.name, architecture.key, seed, space.counts(architecture))
        if "forward" in needs.kinds:
            record.hidden = self._hidden_states(space, architecture, seed, device)
        return record

    def _hidden_states(self, space: Space[Any], config: BertConfig, seed: int, device: str) -> list[Tensor]:
        import torch

        generator = torch.Generator().manual_seed(seeds.integer(seed, config.key, "weights"))
        encoder: Any = space.build(config, vocabulary=self.vocabulary, generator=generator)
        encoder = encoder.to(device).train(self.train_mode)
        ids = torch.from_numpy(
            token_ids(self.steps, self.batch, self.vocabulary, seed, self.text)
        ).T  # (T, B) -> (B, T)
        hidden: list[Tensor] = []

        def keep(name: str, layer: int, tensor: Tensor) -> None:
            if name == "hidden":
                hidden.append(tensor.transpose(0, 1))  # (B, T, h) -> (T, B, h)

        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.integer(seed, config.key, "dropout"))
            encoder(ids.to(device), keep)
        return hidden
