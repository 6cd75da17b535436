"""The table of trained stacks; ``python -m zeronas_stack.make_table`` makes its files."""

from __future__ import annotations

from pathlib import Path

from nas.truth.benchmarks.mini import MiniTable

__all__ = ["StackTable"]


class StackTable(MiniTable):
    """Stacks as small word-level language models."""

    name = "stack_table"
    space = "stack"
    protocol_name = "tiny_stack"
    metric = "validation loss of a very small word-level language model"

    @property
    def folder(self) -> Path:
        """See MiniTable."""
        return Path(__file__).parent / "tables"
