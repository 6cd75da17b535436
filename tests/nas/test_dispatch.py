"""Workers that die, hang or take too much memory: nothing is lost, and what kills is found out."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.dispatch import Answered, Crew, Event, Gone, Joined, dispatched
from nas.core.errors import ZeronasError
from nas.core.executors import Executor, LocalExecutor, RayExecutor
from nas.core.processes import ProcessCrew
from nas.core.workers import OUT_OF_MEMORY, TIME_OUT, WORKER_DIED


class Pretended(Crew):
    """A crew without processes: of each chunk it is told whether its worker dies of it."""

    def __init__(self, size: int, dies: Callable[[Sequence[Any]], str], order: Callable[[int], int]) -> None:
        super().__init__()
        self.size, self.dies, self.order = size, dies, order
        self.chunks: dict[int, deque[tuple[int, Sequence[Any]]]] = {}
        self.news: list[Joined] = []
        self.deaths = self.hired = 0
        self.shuffled = False  # whether what was done later may be heard of first
        self.done: list[Any] = []
        for _ in range(size):
            self._hire()

    def _hire(self) -> None:
        self.chunks[self.hired] = deque()
        self.news.append(Joined(self.hired))
        self.hired += 1

    def send(self, member: int, number: int, chunk: Sequence[Any]) -> None:
        self.chunks[member].append((number, list(chunk)))

    def wait(self, seconds: float | None) -> list[Event]:
        if self.news:
            news, self.news = self.news, []
            self.ready += [one.member for one in news]
            return list(news)
        busy = [member for member, chunks in self.chunks.items() if chunks]
        member = busy[self.order(len(busy))]
        place = 0
        if (
            self.shuffled
            and len(self.chunks[member]) > 1
            and not self.dies(self.chunks[member][0][1])
            and self.order(2)
        ):
            place = int(not self.dies(self.chunks[member][1][1]))  # done later, heard of first
        number, chunk = self.chunks[member][place]
        del self.chunks[member][place]
        if reason := self.dies(chunk):
            self.deaths += 1
            del self.chunks[member]
            self.ready.remove(member)
            self._hire()
            return [Gone(member, reason)]
        self.done += chunk
        return [Answered(member, number, [item * 10 for item in chunk])]

    def stop(self, member: int, reason: str) -> None:
        raise AssertionError("nothing is late")

    def close(self) -> None:
        self.chunks.clear()


def lost(item: Any, reason: str) -> str:
    return f"{item}: {reason}"


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 16),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sets(st.integers(0, 59), max_size=4),
    st.sampled_from([WORKER_DIED, OUT_OF_MEMORY]),
    st.randoms(use_true_random=False),
)
def test_every_item_is_answered_once_and_only_killers_are_given_up(
    count: int, size: int, workers: int, ahead: int, killers: set[int], reason: str, random: Any
) -> None:
    crew = Pretended(workers, lambda chunk: reason if killers & set(chunk) else "", random.randrange)
    crew.shuffled = True
    found = list(dispatched(crew, range(count), size, lost, ahead=ahead))
    assert sorted(place for place, _ in found) == list(range(count))
    assert dict(found) == {i: f"{i}: {reason}" if i in killers else i * 10 for i in range(count)}
    assert sorted(crew.done) == [i for i in range(count) if i not in killers]  # nothing is done twice for nothing


def test_what_kills_once_by_chance_is_done_again() -> None:
    unlucky = {3, 17}

    def dies(chunk: Sequence[int]) -> str:
        hit = unlucky & set(chunk)
        unlucky.difference_update(hit)
        return WORKER_DIED if hit else ""

    crew = Pretended(2, dies, lambda n: 0)
    assert dict(dispatched(crew, range(20), 4, lost)) == {i: i * 10 for i in range(20)}
    assert crew.deaths == 2


def test_chunks_of_an_earlier_call_are_nobodys() -> None:
    crew = Pretended(1, lambda chunk: "", lambda n: 0)
    crew.wait(None)
    crew.send(0, -5, [7])  # sent by a call that was left early
    assert dict(dispatched(crew, [1, 2], 1, lost)) == {0: 10, 1: 20}


# ---------------------------------------------------------------------------------------------- real processes


def obey(orders: Sequence[tuple[str, Any]]) -> list[Any]:
    """The work of the tests: each item is what to do."""
    answers: list[Any] = []
    for order, value in orders:
        if order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif order == "die once":
            path = Path(value)
            if not path.exists():
                path.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        elif order == "hang":
            time.sleep(1000)
        elif order == "grow":
            kept = [bytearray(os.urandom(2**20)) * 16 for _ in range(value)]
            time.sleep(1000)
            answers.append(len(kept))
        elif order == "raise":
            raise ZeronasError(value)
        elif order == "large":
            answers.append("x" * value)
            continue
        answers.append((order, value))
    return answers


def orders(*wanted: tuple[int, tuple[str, Any]], count: int = 24) -> list[tuple[str, Any]]:
    made: list[tuple[str, Any]] = [("answer", i) for i in range(count)]
    for place, order in wanted:
        made[place] = order
    return made


def test_a_killed_process_is_replaced_and_its_chunk_done_again(tmp_path: Path) -> None:
    wanted = orders((5, ("die once", str(tmp_path / "a"))), (20, ("die once", str(tmp_path / "b"))))
    with ProcessCrew(2, obey) as crew:
        found = dict(dispatched(crew, wanted, 4, lost))
        assert found == dict(enumerate(wanted))
        # the crew is whole again, and takes more work
        assert dict(dispatched(crew, orders(count=3), 1, lost)) == dict(enumerate(orders(count=3)))


def test_a_killer_among_others_is_the_only_one_given_up() -> None:
    wanted = orders((9, ("die", 0)))
    with ProcessCrew(2, obey) as crew:
        found = dict(dispatched(crew, wanted, 6, lost))
    assert found.pop(9) == f"{('die', 0)}: {WORKER_DIED}"
    assert found == {i: order for i, order in enumerate(wanted) if i != 9}


def test_what_hangs_is_stopped_by_its_time_and_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.core.dispatch.GRACE", 0.3)
    wanted = orders((2, ("hang", 0)), count=6)
    with ProcessCrew(1, obey) as crew:
        found = dict(dispatched(crew, wanted, 3, lost, limit=0.2))
    assert found.pop(2) == f"{('hang', 0)}: {TIME_OUT}"
    assert found == {i: order for i, order in enumerate(wanted) if i != 2}


def test_what_grows_above_the_ceiling_is_out_of_memory() -> None:
    wanted = orders((1, ("grow", 40)), count=4)  # 640 MiB
    ceiling = 0.4  # GiB; before it grows, a worker holds a tenth of one
    with ProcessCrew(1, obey, ceiling) as crew:
        found = dict(dispatched(crew, wanted, 2, lost))
    assert found.pop(1) == f"{('grow', 40)}: {OUT_OF_MEMORY}"
    assert found == {i: order for i, order in enumerate(wanted) if i != 1}


def test_answers_and_chunks_larger_than_a_pipe_do_not_wait_for_each_other() -> None:
    wanted = [("large", 2**20)] * 6
    chunks = [*wanted, ("answer", "y" * 2**20)] * 2
    with ProcessCrew(1, obey) as crew:
        found = dict(dispatched(crew, chunks, 1, lost))
    assert len(found) == 14 and all(len(found[i]) == 2**20 for i in range(6))


def test_an_error_of_the_work_is_raised_when_what_runs_beside_it_is_done() -> None:
    wanted = orders((0, ("raise", "no such thing")), count=40)
    found = []
    with ProcessCrew(2, obey) as crew, pytest.raises(ZeronasError, match="no such thing"):
        for place, _ in dispatched(crew, wanted, 2, lost):
            found.append(place)
    assert 0 not in found and len(found) < 40


class Unloadable:
    """What a worker cannot take in."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)

    def __call__(self, items: Sequence[Any]) -> Sequence[Any]:
        return items


def test_workers_that_die_as_they_start_are_one_sentence() -> None:
    with (
        ProcessCrew(1, Unloadable()) as crew,
        pytest.raises(ZeronasError, match=r"3 worker processes in a row died as they started \(the last with exit"),
    ):
        list(dispatched(crew, [1], 1, lost))


# ------------------------------------------------------------------------------------------------- executors


def test_executors_of_the_same_settings_are_one() -> None:
    assert LocalExecutor(2) == Executor.of(2) and hash(LocalExecutor(2)) == hash(Executor.of(2))
    assert LocalExecutor(2) != LocalExecutor(2, memory=1.0) and LocalExecutor(2) != RayExecutor(2)
    assert LocalExecutor(1).crew(obey) is None and LocalExecutor(8).crew(obey, most=1) is None


def test_a_single_process_has_its_memory_watched_in_a_process_of_its_own() -> None:
    crew = LocalExecutor(1, memory=4.0).crew(obey)
    assert crew is not None and crew.size == 1
    crew.close()


@pytest.mark.parametrize("workers", [0, True, 1.5, "2", 10**400])
def test_bad_numbers_of_workers_are_told(workers: Any) -> None:
    with pytest.raises(ZeronasError, match=r"Executor 'local' needs workers to be a whole number from 1 to 1,024"):
        LocalExecutor(workers)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere", r"executor.address must be auto or HOST:PORT of a Ray cluster's head, but got 'nowhere'\."),
        ("a:99999", r"executor.address must be auto or HOST:PORT"),
        ("127.0.0.1:1", r"No Ray cluster answers at executor.address=127.0.0.1:1 \(.*refused.*\)\."),
    ],
)
def test_addresses_without_a_cluster_are_told_at_once(address: str, said: str) -> None:
    pytest.importorskip("ray", reason="needs the extra [ray]")
    with pytest.raises(ZeronasError, match=said):
        RayExecutor(1, address).crew(obey)


def test_a_journal_line_is_not_touched_by_how_often_it_was_computed(tmp_path: Path) -> None:
    """What is computed again after a death gives the same answer: here, the same bytes."""
    wanted = orders((3, ("die once", str(tmp_path / "a"))), count=12)
    with ProcessCrew(2, obey) as crew:
        found = sorted(dispatched(crew, wanted, 3, lost))
    assert json.dumps(found) == json.dumps(list(enumerate(wanted)))
