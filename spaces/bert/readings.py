"""Which modules a configuration stands for: three readings, since the published code ignores parts of it.

- ``stated``: what the configuration says, as FlexiBERT (Tuli et al. 2022, arXiv 2205.11656) defines it.
- ``scored``: the model that the metrics and parameter counts released with Serianni & Kalita (ACL 2023) were computed
  on: neither the hidden size nor the feed-forward width reaches it, so they are 256 and 1024 always.
- ``trained``: the model that their released TensorFlow training code builds: an identity test on strings never
  succeeds, so every operation is scaled-dot-product attention, and the first feed-forward matrix is 4 x hidden wide.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas.core.errors import ZeronasError, did_you_mean
from spaces.bert.config import BertConfig, Layer

__all__ = ["EMBEDDING_SIZE", "POSITIONS", "READINGS", "VOCABULARY", "EncoderPlan", "LayerPlan", "check_reading", "plan"]

READINGS = ("stated", "scored", "trained")
VOCABULARY = 30522  # ELECTRA's uncased WordPiece
EMBEDDING_SIZE = 128
POSITIONS = 512


@dataclass(frozen=True)
class LayerPlan:
    """The exact modules of one encoder layer.

    Attributes:
        operation: SDP, WMA, DFT, DCT or DSC.
        heads: heads that attend or are transformed (for DSC half of those configured, at least one).
        head_size: width of a head; ``heads * head_size`` is the hidden size, for DSC half of it.
        kernel: kernel size of DSC, 0 for the others.
        feed_forward: width after each activation of the feed-forward block, first to last.
    """

    operation: str
    heads: int
    head_size: int
    kernel: int
    feed_forward: tuple[int, ...]


@dataclass(frozen=True)
class EncoderPlan:
    """The exact modules of an encoder; the closed counts and the torch module both read this and nothing else.

    Attributes:
        hidden_size: width of the hidden vectors; a Linear from the embedding size exists where the two differ.
        layers: first to last.
    """

    hidden_size: int
    layers: tuple[LayerPlan, ...]


def check_reading(reading: str) -> str:
    """Returns ``reading``.

    Raises:
        ZeronasError: it is not one of ``READINGS``.
    """
    if reading not in READINGS:
        # the earlier name, whose letters are nearest to those of 'trained', which is another reading
        meant = "scored" if reading == "released" else reading
        raise ZeronasError(f"Unknown reading '{reading}' of BERT configurations.{did_you_mean(meant, READINGS)}")
    return reading


def plan(config: BertConfig, reading: str = "stated") -> EncoderPlan:
    """Returns the modules that a configuration stands for under a reading.

    Raises:
        ZeronasError: unknown reading.
    """
    check_reading(reading)
    hidden = 256 if reading == "scored" else config.hidden_size
    return EncoderPlan(hidden, tuple(_layer_plan(layer, hidden, reading) for layer in config.layers))


def _layer_plan(layer: Layer, hidden: int, reading: str) -> LayerPlan:
    repeats, heads = layer.num_feed_forward, layer.num_operation_heads
    head_size = hidden // heads
    if reading == "trained":
        widths = (4 * hidden, *[layer.feed_forward_dimension] * (repeats - 1))
        return LayerPlan("SDP", heads, head_size, 0, widths)
    widths = (1024 if reading == "scored" else layer.feed_forward_dimension,) * repeats
    if layer.operation_type == "DSC":
        return LayerPlan("DSC", max(heads // 2, 1), head_size, int(layer.operation_parameter), widths)
    return LayerPlan(str(layer.operation_parameter), heads, head_size, 0, widths)
