"""``zeronas export RUN``: the result of a run as files to use elsewhere (JSON, drawing, PyTorch module, ONNX)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import spaces
from experiments.commands.app import command
from experiments.commands.arch import read_architecture
from experiments.commands.compare import positional
from experiments.guard import guarded
from nas.core.errors import ZeronasError, printable
from nas.core.files import number
from nas.core.options import shown
from nas.report.export import Exported, Find, alone, export, read_find
from nas.settings import FindSettings, read
from spaces.base import Space

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> Exported:
    """Exports what ``config["arch"]`` names (a run folder, or an architecture), and returns what came of it.

    Raises:
        ZeronasError: a setting, the run or the architecture is wrong, a file is there already, or cannot be written. So
            is model.onnx with ``onnx=true``: then all other files are written.
    """
    given = read(config, FindSettings)
    space = spaces.get(given.space.name, **given.space.options)
    folder = _run_folder(space, given.arch)
    if folder is not None:
        find = read_find(folder, given.key)
    elif given.key is not None:
        raise ZeronasError(
            f"key={given.key} chooses an architecture of a run, but {shown(given.arch)} is no run folder."
        )
    else:
        find = alone(space, given.space.options, read_architecture(space, given.arch, given.data_dir))
    into = Path(given.folder) if given.folder else (folder or Path()) / f"export-{find.architecture.key}"
    made = export(find, into, given.sizes, given.onnx is not False, given.seed, given.fresh)
    print("\n".join(map(printable, lines(find, made))))
    if given.onnx is True and made.no_onnx:
        raise ZeronasError(made.no_onnx)
    return made


def _run_folder(space: Space[Any], arch: Any) -> Path | None:
    """Returns the run folder that an argument names, by itself or by its results.json, or None."""
    if not isinstance(arch, str) or space.named(arch) is not None:
        return None
    path = Path(arch)
    if path.name == "results.json" and os.path.isfile(path):
        return path.parent
    exported = os.path.exists(path / "architecture.json") and not os.path.exists(path / "results.json")
    return path if os.path.isdir(path) and not exported else None


def lines(find: Find, made: Exported) -> list[str]:
    """Returns what was exported, one fact a line."""
    known, sizes = find.known, find.space.network_sizes()
    chosen = f" ({known['chosen_by']})" if known.get("chosen_by") else ""
    out = [f"exported: {find.architecture.key}{chosen}"]
    scores = [f"{label} {number(value, 6)}" for label, value in known["scores"].items() if value is not None]
    out += [f"proxy score: {', '.join(scores)}"] if scores else []
    truth = known["truth"]
    if truth is None:
        out.append(f"true value: unknown, {known['no_truth']}")
    else:
        of = f", {truth['benchmark']}" if truth.get("benchmark") else ""
        place = f"; rank {truth['rank']:,} of {truth['of']:,}" if truth.get("rank") and truth.get("of") else ""
        out.append(f"true value: {number(truth['value'], 5)} {truth['unit']} ({truth['metric']}{of}){place}")
    if find.weights is not None:
        out.append(f"weights: '{find.weights}' holds those trained; nas.truth.train.trainer.load_model reads them")
    told = ", ".join(f"{name} {value}" for name, value in {**sizes, **made.sizes}.items())
    out.append(f"model.py: {made.parameters:,} parameters{f' ({told})' if told else ''}")
    if made.difference is not None:
        out.append(
            f"model.onnx: the largest difference from torch is {made.difference:.1e}; its weights are not trained, "
            "model.to_onnx(network, FILE) writes those that are"
        )
    elif made.no_onnx:
        out.append(f"model.onnx: not written. {made.no_onnx}")
    return [*out, f"folder: {made.folder} ({', '.join(made.files)})"]


main = positional(command(run, "export"), single="arch")


if __name__ == "__main__":
    sys.exit(guarded(main))
