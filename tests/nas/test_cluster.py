"""The executor of a Ray cluster: nodes are lost in mid-search and mid-training, and the results are the local ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments.commands import search as search_app
from nas.core import cluster as clusters
from nas.core.dispatch import dispatched
from nas.core.errors import ZeronasError
from nas.core.executors import RayExecutor
from nas.core.workers import OUT_OF_MEMORY
from nas.truth.train import table
from nas.truth.train.table import Job, read_lines, train_all
from spaces.rnn import named_cell
from spaces.rnn.protocol import RNNProtocol

ray = pytest.importorskip("ray", reason="needs the extra [ray]")

SEARCH = ("searcher=evolution", "searcher.population=20", "searcher.tournament=5", "seed=2", "probe.rnn.steps=4")
TINY = RNNProtocol(
    name="tiny",
    steps=600,
    batch=4,
    sequence=8,
    learning_rate=1e-2,
    embedding=8,
    hidden=(8,),
    vocabulary=40,
    cutoffs=(10,),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each on this machine; tests add more."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    before, clusters.PATIENCE = clusters.PATIENCE, 90.0
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    clusters.PATIENCE = before
    ray.shutdown()
    made.shutdown()


def lose_a_node(cluster: Any, when: Callable[[], bool]) -> threading.Thread:
    """Adds a node, and starts to wait until something has happened, to kill one then that is not the head."""
    cluster.add_node(num_cpus=1)

    def wait() -> None:
        while not when():
            time.sleep(0.01)
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_search_that_loses_a_node_has_the_table_of_a_local_one(cluster: Any, tmp_path: Path, composed: Any) -> None:
    local, remote = tmp_path / "local", tmp_path / "ray"
    search_app.run(composed("search", *SEARCH, "budget=200", f"run.dir={local}"))
    lost = lose_a_node(cluster, lambda: lines(remote / "journal.jsonl") > 40)
    address = f"executor.address='{cluster.address}'"
    overrides = ("executor=ray", "executor.workers=3", address, f"run.dir={remote}")
    search_app.run(composed("search", *SEARCH, "budget=200", *overrides))
    lost.join(60)
    assert not lost.is_alive()
    assert (remote / "table.csv").read_bytes() == (local / "table.csv").read_bytes()
    assert lines(remote / "journal.jsonl") == 200


def test_trainings_that_lose_their_node_are_made_again(cluster: Any, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(f"w{(i * j) % 37}" for j in range(1, 20)) for i in range(200)), encoding="utf-8")
    jobs = [Job(named_cell(name), TINY, seed) for seed in (0, 1) for name in ("RNN", "GRU", "LSTM")]
    path = tmp_path / "ray.jsonl"
    lost = lose_a_node(cluster, lambda: lines(path) >= 1)
    executor = RayExecutor(3, cluster.address)
    found = train_all(jobs, str(text), path, executor)
    table._idle.pop(executor).close()  # the cluster has room for no others
    lost.join(60)
    assert not lost.is_alive()
    assert list(read_lines(path)) and lines(path) == len(jobs)
    assert _plain(found) == _plain(train_all(jobs, str(text), tmp_path / "local.jsonl"))


def _plain(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def test_an_actor_that_takes_too_much_memory_says_so(cluster: Any) -> None:
    def work(items: Sequence[int]) -> list[int]:
        kept = [bytearray(b"x" * 2**20) for item in items for _ in range(item)]
        if len(kept) > 100:
            time.sleep(60)
        return [10 * item for item in items]

    cluster.add_node(num_cpus=1)
    crew = RayExecutor(1, cluster.address, memory=1.0).crew(work)
    assert crew is not None
    with crew:
        found = dict(dispatched(crew, [1, 2, 1500, 3], 2, lambda item, reason: reason))
    assert found == {0: 10, 1: 20, 2: OUT_OF_MEMORY, 3: 30}


def test_what_no_node_can_hold_is_told_before_anything_waits_for_it(cluster: Any) -> None:
    with pytest.raises(
        ZeronasError, match=r"An actor is to take 1 CPU and 1 GPU .* but no node of the Ray cluster has"
    ):
        RayExecutor(1, cluster.address, gpus=1.0).crew(lambda items: items)
