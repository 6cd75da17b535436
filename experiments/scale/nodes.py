"""``python -m experiments.scale.nodes``: a search and trainings on three nodes of Ray, one of which is killed.

The nodes are real ones (a raylet each), of one core, on this machine; a node is killed with all its processes, without
a word to the others. Each command runs on the cluster first, and then on this machine without Ray, in another folder.
results/nodes.json says for each where the node was lost, with which status the command ended, whether all that was
asked for was computed, and whether table.csv, and the trainings but for the seconds that they took, are the same. It
needs the extra ``ray``, and ends with status 2 where anything is not as it should be.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.files import versions, write_json
from nas.truth.train.table import read_lines

__all__ = ["main"]

RESULT = Path(__file__).parent / "results" / "nodes.json"
NODES = 3


@dataclass(frozen=True)
class _Case:
    """A search of which a node is lost.

    Attributes:
        overrides: of the command.
        begun: whether the node may be lost, told from the run folder and what the command has said so far.
        pause: seconds until it is.
        when: in words.
    """

    overrides: tuple[str, ...]
    begun: Callable[[Path, str], bool]
    pause: float
    when: str


def _answers(folder: Path) -> int:
    journal = folder / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


CASES = {
    "search": _Case(
        ("searcher=evolution", "searcher.population=50", "budget=1000", "benchmark=none", "seed=2"),
        lambda folder, said: _answers(folder) > 400,
        0.0,
        "after 400 evaluations",
    ),
    "trainings": _Case(
        ("searcher=random", "budget=12", "benchmark=mini_rnn", "truth=train", "verify=6", "seed=5"),
        lambda folder, said: "training" in said,
        12.0,
        "12 s after the trainings began",
    ),
}


def main() -> None:
    """Runs both commands and writes results/nodes.json.

    Raises:
        ZeronasError: Ray is not installed, or a run is not as it should be.
    """
    found = {name: _compared(case) for name, case in CASES.items()}
    write_json(RESULT, {"nodes": NODES, **found, "versions": versions()})
    if wrong := [name for name, one in found.items() if not one["right"]]:
        raise ZeronasError(f"Not as it should be: {', '.join(wrong)}; see {RESULT}.")


def _compared(case: _Case) -> dict[str, Any]:
    """Runs a search on a cluster that loses a node, and again without a cluster."""
    with TemporaryDirectory() as temporary:
        remote, local = Path(temporary) / "ray", Path(temporary) / "local"
        status, answers = _on_cluster(case, remote)
        plain, _ = _run(case.overrides, local)
        tables = [(one / "run" / "table.csv").read_bytes() if not status + plain else b"" for one in (remote, local)]
        trainings = [_trainings(one) for one in (remote, local)]
        ended = _answers(remote / "run")
        found: dict[str, Any] = {
            "command": " ".join(("zeronas", "search", *case.overrides)),
            "a node was killed": case.when,
            "answers in the journal then": answers,
            "status": status,
            "answers in the journal in the end": ended,
            "without a cluster": _answers(local / "run"),
            "trainings": len(trainings[0]),
            "same table.csv": tables[0] == tables[1] != b"",
            "same trainings": trainings[0] == trainings[1],
        }
    lost = answers is not None and answers < ended == found["without a cluster"]
    found["right"] = status == 0 and lost and found["same table.csv"] and found["same trainings"]
    print(found, flush=True)
    return found


def _on_cluster(case: _Case, folder: Path) -> tuple[int, int | None]:
    """Runs a search on a cluster that loses a node; returns its status, and how many answers there were then."""
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        raise ZeronasError("This needs Ray; install the extra: pip install 'zeronas[ray]'.") from None
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(NODES - 1)]
        on_ray = ("executor=ray", f"executor.workers={NODES}", f"executor.address='{cluster.address}'")

        def lose(said: Callable[[], str]) -> int:
            """Waits for the moment and kills a node; returns how many answers there were."""
            while not case.begun(folder / "run", said()):
                time.sleep(0.02)
            time.sleep(case.pause)
            answers = _answers(folder / "run")
            cluster.remove_node(nodes[0], allow_graceful=False)
            return answers

        return _run((*case.overrides, *on_ray), folder, lose)
    finally:
        cluster.shutdown()


def _run(
    overrides: tuple[str, ...], folder: Path, beside: Callable[[Callable[[], str]], int] | None = None
) -> tuple[int, int | None]:
    """Runs a search; returns its status, and what ``beside`` returned, which hears what the command says."""
    command = [sys.executable, "-m", "experiments.cli", "search", *overrides]
    process = subprocess.Popen(
        [*command, f"run.root={folder}", f"run.dir={folder / 'run'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    returned: list[int] = []
    if beside is not None:
        threading.Thread(target=lambda: returned.append(beside(lambda: "".join(said))), daemon=True).start()
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        sys.stderr.write(line)
    return process.wait(), returned[0] if returned else None


def _trainings(folder: Path) -> list[dict[str, Any]]:
    """Returns the trainings of a run, without how long they took."""
    found = []
    for path in sorted((folder / "trained").glob("*.jsonl")):
        found += [{key: value for key, value in one.items() if key != "seconds"} for one in read_lines(path).values()]
    return sorted(found, key=lambda one: json.dumps(one, sort_keys=True))


if __name__ == "__main__":
    sys.exit(guarded(main))
