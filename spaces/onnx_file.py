"""ONNX files of networks: a graph is put together node by node, compared with torch by onnxruntime, and written.

Not by torch's own exporter: it lays out a loop over tokens for one number of them, refuses the cosine transform of any
number, and takes a further package and many seconds. What a space writes here instead is what its module computes, and
is compared with it before it becomes a file.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.errors import ZeronasError
from nas.core.files import replacing
from nas.core.workers import one_thread

__all__ = ["MISSING", "Case", "Graph", "check_writable", "installed", "tensor", "write_onnx"]

#: what to do where the packages are not there
MISSING = "onnx and onnxruntime are not installed; the extra [onnx] of zeronas brings them"

_LARGEST = 2**31 - 2**20  # bytes of weights: a protocol buffer ends at 2 GiB
_OPSET, _FORMAT = 20, 9  # of one time (2023): later runtimes read them, too
_TOLERANCE = 1e-4  # of an output, beside its largest value: sums are made in another order


def installed() -> bool:
    """Returns whether the packages of the extra ``onnx`` are there."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime"))


@dataclass(frozen=True)
class Case:
    """What a module makes of some inputs, by the names in the file."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


class Graph:
    """A graph in the making; ``graph("MatMul", a, b)`` adds a node and returns the name of its output.

    Args:
        outer: the graph whose constants a body of a loop can read, and keeps its own in.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = [] if outer is None else outer.constants
        self._names: list[str] = [] if outer is None else outer._names

    def name(self) -> str:
        """Returns a name that is not yet taken."""
        self._names.append(f"v{len(self._names)}")
        return self._names[-1]

    def constant(self, value: Tensor | Sequence[int] | float) -> str:
        """Adds a tensor, a list of whole numbers (int64) or a number (float32), and returns its name."""
        from onnx import numpy_helper

        if isinstance(value, Tensor):
            array = value.detach().cpu().numpy()
        else:
            array = np.array(value, dtype=np.float32 if isinstance(value, float) else np.int64)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), self.name()))
        return self._names[-1]

    def __call__(self, op: str, *inputs: str, into: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output, called ``into`` where that is given."""
        (output,) = self.several(op, inputs, [into or self.name()], **attributes)
        return output

    def several(self, op: str, inputs: Sequence[str], into: Sequence[str], **attributes: Any) -> list[str]:
        """Adds a node with outputs of these names."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, list(inputs), list(into), **attributes))
        return list(into)

    def body(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Returns the graph as the body of a loop; inputs and outputs are made by ``tensor``."""
        from onnx import helper

        return helper.make_graph(self.nodes, name, list(inputs), list(outputs))

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> bytes:
        """Returns the finished model, serialised."""
        from onnx import checker, helper

        from nas import __version__

        graph = helper.make_graph(self.nodes, name, list(inputs), list(outputs), self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_FORMAT,
            producer_name="zeronas",
            producer_version=__version__,
        )
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())


def tensor(name: str, shape: Sequence[int | str], kind: str = "FLOAT") -> Any:
    """Returns an input or an output of a graph; sizes that may vary have a name."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, getattr(TensorProto, kind), list(shape))


def check_writable(network: nn.Module) -> None:
    """Checks what can be told of a network before it has any weights.

    Raises:
        ZeronasError: the packages are not there, or its file would be too large.
    """
    if not installed():
        raise ZeronasError(f"No ONNX file can be written: {MISSING}.")
    size = 4 * sum(parameter.numel() for parameter in network.parameters())
    if size > _LARGEST:
        raise ZeronasError(
            f"No ONNX file can be written: the weights take {size / 1e9:.1f} GB, and a file holds 2; choose smaller "
            "sizes."
        )


N = TypeVar("N", bound=nn.Module)


def write_onnx(
    path: Path,
    network: nn.Module,
    kind: type[N],
    model: Callable[[N], bytes],
    cases: Callable[[N], Sequence[Case]],
) -> float:
    """Writes a network as an ONNX file, in float32 and evaluation mode; the network itself is left as it is.

    Args:
        kind: what the network must be.
        model: makes the serialised model of it.
        cases: says what it makes of some inputs.

    Returns:
        The largest absolute difference between an output of the file and of torch.

    Raises:
        ZeronasError: the network is another space's, its file would be too large, the packages are not there, outputs
            differ by more than rounding, or the file cannot be written.
    """
    check_writable(network)
    if not isinstance(network, kind):
        raise ZeronasError(f"An ONNX file is written of a {kind.__name__}, but got a {type(network).__name__}.")
    with one_thread():
        copied = copy.deepcopy(network).to("cpu", torch.float32).eval()
        made = model(copied)
        apart = _compared(made, cases(copied))
    with replacing(path) as file:
        file.write(made)
    return apart


def _compared(model: bytes, cases: Sequence[Case]) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # more wait for each other on a busy machine
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for case in cases:
        found = session.run(list(case.outputs), {name: value.numpy() for name, value in case.inputs.items()})
        for (name, value), other in zip(case.outputs.items(), found, strict=True):
            apart, scale = _apart(value.numpy(), other)
            if not apart <= _TOLERANCE * (1 + scale):
                raise ZeronasError(
                    f"No ONNX file is written: its output '{name}' differs from torch's by {apart:.3g}, which is more "
                    "than rounding."
                )
            largest = max(largest, apart)
    return largest


def _apart(wanted: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Returns the largest difference of finite values, infinite where others are not alike, and the largest value."""
    if wanted.shape != found.shape:
        return math.inf, 0.0
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(found)) or not np.array_equal(
        wanted[~finite], found[~finite], equal_nan=True
    ):
        return math.inf, 0.0
    difference = np.abs(wanted[finite] - found[finite])
    return float(difference.max(initial=0.0)), float(np.abs(wanted[finite]).max(initial=0.0))
