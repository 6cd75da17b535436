"""Writes the files of an export: architecture.json, drawings, model.py, model.onnx."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat
from textwrap import indent
from typing import Any

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.files import command_line, plain, versions, write_json, write_text
from nas.core.folders import made_folder
from nas.core.options import shown
from nas.core.workers import out_of_memory
from nas.report.export.find import Find
from nas.report.plots import draw_architecture
from nas.report.render import render

__all__ = ["FILES", "ONNX", "Exported", "export"]

#: names of the files, in the order of writing
FILES = ("architecture.json", "architecture.svg", "architecture.png", "model.py")
ONNX = "model.onnx"


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        files: names of those written.
        sizes: those that were chosen.
        parameters: trainable scalars of the network at the sizes of ``model.build``.
        difference: largest absolute difference between an output of model.onnx and of torch; None without the file.
        no_onnx: why there is none, "" where there is, or none was wanted.
    """

    folder: Path
    files: tuple[str, ...]
    sizes: Mapping[str, Any]
    parameters: int
    difference: float | None = None
    no_onnx: str = ""


def export(
    find: Find,
    folder: Path,
    sizes: Mapping[str, Any] | None = None,
    onnx: bool = True,
    seed: int = 0,
    fresh: bool = False,
) -> Exported:
    """Writes an architecture into a folder and returns what came of it.

    Args:
        sizes: of the network: the defaults of ``model.build``, and those of model.onnx.
        onnx: whether model.onnx is written, too, where its packages are there and the space says how.
        seed: of the weights in model.onnx, which are not trained.
        fresh: write files anew that are there already.

    Raises:
        ZeronasError: the space holds no networks, a size is wrong, a file is there already, or the folder cannot be
            written.
    """
    import torch

    from spaces.onnx_file import check_writable

    sizes = {name: tuple(value) if isinstance(value, list) else value for name, value in (sizes or {}).items()}
    with torch.device("meta"):  # no memory is taken, however large it is
        network = _network(find, sizes)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    for name in (*FILES, ONNX):
        if not fresh and os.path.exists(folder / name):
            raise ZeronasError(
                f"'{folder / name}' is there already; use fresh=true to write it anew, or folder=FOLDER for another."
            )
    made_folder(folder, "folder", "folder")
    by = {"exported": {"command": command_line(), "versions": versions()}}
    write_json(folder / "architecture.json", {**find.to_json(), **by})
    graph = find.space.readable(find.architecture).to_graph()
    for name in ("architecture.svg", "architecture.png"):
        draw_architecture(folder / name, graph, find.architecture.key)
    write_text(folder / "model.py", _module(find, sizes))
    _remove(folder / ONNX)
    if not onnx:
        return Exported(folder, FILES, sizes, parameters)
    try:
        check_writable(network)
        difference = _onnx(find, folder / ONNX, sizes, seed)
    except ZeronasError as error:
        return Exported(folder, FILES, sizes, parameters, no_onnx=str(error))
    return Exported(folder, (*FILES, ONNX), sizes, parameters, difference)


def _network(find: Find, sizes: Mapping[str, Any]) -> Any:
    try:
        return find.space.network(find.architecture, **sizes)
    except (MemoryError, RuntimeError, TypeError) as error:
        if not isinstance(error, TypeError) and not out_of_memory(error):
            raise
        said = " ".join(str(error).split())
        raise ZeronasError(f"Space '{find.space.name}' cannot build a network of these sizes ({said}).") from None


def _remove(path: Path) -> None:
    """Removes an earlier file: of this export there may be none."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ZeronasError(f"{shown(str(path), 200)} cannot be removed ({error.strerror}).") from None


def _module(find: Find, sizes: Mapping[str, Any]) -> str:
    """Returns model.py; whatever of a run stands in it is a literal of Python's."""
    defaults = {**find.space.network_sizes(), **sizes}
    options = [f"{name}={plain(value)!r}" for name, value in find.options.items()]
    context = {
        "key": find.architecture.key,
        "manual": find.space.manual.rstrip("\n"),
        "architecture": _literal(find.space.readable(find.architecture).to_json()),
        "arguments": ", ".join([repr(find.space.name), *options]),
        "sizes": {name: repr(value) for name, value in defaults.items()},
    }
    return render("nas.report.export", "model.py.j2", context)


def _literal(data: Any) -> str:
    """Returns JSON values as Python writes them, the items of a mapping on lines of their own."""
    if not isinstance(data, dict):
        return pformat(data, sort_dicts=False)
    items = [f"{name!r}: {pformat(value, width=100, sort_dicts=False)},\n" for name, value in data.items()]
    return "{\n" + indent("".join(items), "    ") + "}"


def _onnx(find: Find, path: Path, sizes: Mapping[str, Any], seed: int) -> float:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer(seed, find.architecture.key, "export"))
        return find.space.to_onnx(_network(find, sizes), path)
