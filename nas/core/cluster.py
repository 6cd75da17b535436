"""A crew of Ray actors: on the nodes of a cluster, or of one that is started here and ends with the command.

The loop is ours (``nas.core.dispatch``): Ray's own pools of actors recycle dead ones or wait for ever after the loss of
a node. An actor is given work only once it has said that it runs, so that nothing waits for one whose node is gone.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nas.core.dispatch import Answered, Crew, Event, Gone, Joined, Work
from nas.core.errors import ZeronasError, printable
from nas.core.workers import OUT_OF_MEMORY, WORKER_DIED, watch_memory

__all__ = ["RayCrew", "RayNodes"]

#: seconds in which the first actor must have started: nodes may have to import torch from a slow disk
PATIENCE = 300.0
_STARTS = 5  # actors that die before they run, one after the other
_FAREWELL = 10.0  # seconds in which an actor that went over its memory is heard to say so


class _Actor:
    """What runs on a node: one chunk at a time."""

    def __init__(self, memory: float | None) -> None:
        self._works: dict[str, Work] = {}
        self._over = threading.Event()
        if memory is not None:
            watch_memory(memory, self._end)

    def _end(self) -> None:
        self._over.set()
        threading.Event().wait(_FAREWELL)

    def started(self) -> None:
        """Returns once the actor runs."""

    def over(self) -> str:
        """Returns why the actor is about to end, as soon as it is."""
        self._over.wait()
        return OUT_OF_MEMORY

    def do(self, name: str, work: list[Any], items: Sequence[Any]) -> Sequence[Any]:
        """Does a chunk of the work of a name, which is fetched once, of a reference in a list."""
        if name not in self._works:
            import ray

            self._works[name] = ray.get(work[0])
        return self._works[name](items)


class RayNodes:
    """Actors, one thread each, that do whatever work they are asked to; crews of them take turns.

    Args:
        address: of a running cluster, "auto" for the one this machine belongs to, or None: one is started here.
        cpus, gpus: what an actor takes of its node.
        memory: GiB of resident memory above which an actor is stopped, or None.
        size: how many there are to be at first; those for which no node has room wait for one.

    Raises:
        ZeronasError: Ray is not installed, there is no cluster at the address, or no node of it can hold an actor.
    """

    def __init__(self, address: str | None, cpus: float, gpus: float, memory: float | None, size: int) -> None:
        self.ray = _connected(address, max(1, round(size * cpus + 0.5)))
        _check_room(self.ray, cpus, gpus)
        # an actor that died is replaced here and not by Ray, so that its chunk is heard of and done elsewhere
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
        if memory is not None:
            options["concurrency_groups"] = {"farewell": 1}
        options["runtime_env"] = {"env_vars": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}}
        self._kind = self.ray.remote(**options)(_Actor)
        self._memory = memory
        self._actors: dict[int, Any] = {}
        self._starting: dict[Any, int] = {}  # reference -> actor that has not said yet that it runs
        self._running: dict[Any, tuple[int, int]] = {}  # reference -> actor, chunk
        self._farewells: dict[Any, int] = {}  # reference -> actor that will say why it ends
        self._reasons: dict[int, str] = {}
        self._next = self._failed_starts = 0
        self.ready: list[int] = []
        self.users = 0
        self.grow(size)

    def grow(self, size: int) -> None:
        """Starts actors until there are so many."""
        while len(self._actors) < size:
            actor = self._kind.remote(self._memory)
            self._actors[self._next] = actor
            self._starting[actor.started.remote()] = self._next
            if self._memory is not None:
                self._farewells[actor.over.options(concurrency_group="farewell").remote()] = self._next
            self._next += 1

    def send(self, member: int, number: int, work: tuple[str, list[Any]], chunk: Sequence[Any]) -> None:
        """Gives an actor a chunk of some work."""
        self._running[self._actors[member].do.remote(*work, list(chunk))] = member, number

    def wait(self, seconds: float | None) -> list[Event]:
        """Returns what happened first; see ``Crew.wait``."""
        waited = [*self._farewells, *self._running, *self._starting]
        patient = bool(self.ready)
        done, _ = self.ray.wait(waited, num_returns=1, timeout=seconds if patient else PATIENCE)
        if not done and not patient:
            raise ZeronasError(
                f"No actor of the Ray cluster started within {PATIENCE:.0f} s; is there a node with room for one? What "
                "was computed is kept."
            )
        # of an actor that died all references fail, and the first that is looked at tells
        return [event for reference in done for event in self._event(reference)]

    def _event(self, reference: Any) -> list[Event]:
        errors = self.ray.exceptions
        try:
            answer = self.ray.get(reference)
        except errors.RayTaskError as error:  # of the work itself
            cause = error.cause
            answer = cause if isinstance(cause, Exception) else RuntimeError(str(error))
        except errors.RayError as error:  # of the actor, its process or its node
            for owners in (self._starting, self._farewells):
                if reference in owners:
                    return self._gone(owners[reference], error, WORKER_DIED)
            return self._gone(self._running[reference][0], error, WORKER_DIED)
        if reference in self._farewells:
            return self._gone(self._farewells[reference], None, str(answer))
        if reference in self._starting:
            member = self._starting.pop(reference)
            self._failed_starts = 0
            self.ready.append(member)
            return [Joined(member)]
        member, number = self._running.pop(reference)
        return [Answered(member, number, answer)]

    def _gone(self, member: int, error: Exception | None, reason: str) -> list[Event]:
        size = len(self._actors)
        joined = member in self.ready
        self._forget(member)
        if not joined:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise ZeronasError(
                    f"{_STARTS} actors in a row could not be started on the Ray cluster: {_first_line(error)} What was "
                    "computed is kept."
                )
        self.grow(size)
        return [Gone(member, self._reasons.pop(member, reason))] if joined else []

    def _forget(self, member: int) -> None:
        with suppress(Exception):  # it may be gone, and the cluster, too
            self.ray.kill(self._actors[member])
        del self._actors[member]
        self._running = {one: owner for one, owner in self._running.items() if owner[0] != member}
        self._starting = {one: owner for one, owner in self._starting.items() if owner != member}
        self._farewells = {one: owner for one, owner in self._farewells.items() if owner != member}
        if member in self.ready:
            self.ready.remove(member)

    def stop(self, member: int, reason: str) -> None:
        """Ends an actor at once; ``wait`` tells."""
        if member in self._actors:
            self._reasons[member] = reason
            self.ray.kill(self._actors[member])

    def close(self) -> None:
        """Ends all actors."""
        for member in list(self._actors):
            self._forget(member)


#: settings -> actors that some crew uses
_nodes: dict[tuple[Any, ...], RayNodes] = {}


class RayCrew(Crew):
    """Actors that do one kind of work. Crews of the same settings share them: the cluster has room for no others.

    Args:
        size: how many there are to be.
        work: what they do; it is sent to each node once.
        address, cpus, gpus, memory: as of ``RayNodes``.

    Raises:
        ZeronasError: as ``RayNodes``.
    """

    def __init__(
        self, size: int, work: Work, address: str | None, cpus: float, gpus: float, memory: float | None = None
    ) -> None:
        self.size = size
        self._settings = (address, cpus, gpus, memory)
        if self._settings not in _nodes:
            _nodes[self._settings] = RayNodes(*self._settings, size)
        self._nodes = _nodes[self._settings]
        self._nodes.grow(size)
        self._nodes.users += 1
        reference = self._nodes.ray.put(work)
        self._work = reference.hex(), [reference]
        self._closed = False

    @property
    def ready(self) -> list[int]:  # type: ignore[override]
        return self._nodes.ready

    def send(self, member: int, number: int, chunk: Sequence[Any]) -> None:
        self._nodes.send(member, number, self._work, chunk)

    def wait(self, seconds: float | None) -> list[Event]:
        return self._nodes.wait(seconds)

    def stop(self, member: int, reason: str) -> None:
        self._nodes.stop(member, reason)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._nodes.users -= 1
        if not self._nodes.users:
            self._nodes.close()
            _nodes.pop(self._settings, None)


def _connected(address: str | None, cpus: int) -> Any:
    """Returns the module ray, connected to a cluster."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # actors without devices see none, as announced
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a busy machine takes longer than Ray's 30
    try:
        import ray
    except ImportError:
        raise ZeronasError(
            "executor=ray needs Ray, which is not installed; install zeronas with its extra [ray]."
        ) from None
    if ray.is_initialized():
        return ray
    if address is not None and address != "auto":
        _check_address(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    where = {"num_cpus": cpus, "include_dashboard": False} if address is None else {"address": address}
    try:
        ray.init(**options, **where)
    except Exception as error:  # of many kinds, by what is wrong
        told = "here" if address is None else f"at executor.address={address}"
        raise ZeronasError(f"No Ray cluster could be used {told}: {_first_line(error)}") from None
    return ray


def _check_address(address: str) -> None:
    """Raises a ``ZeronasError`` where nothing listens: Ray itself tries for two minutes, and ends the process then."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ZeronasError(
            f"executor.address must be auto or HOST:PORT of a Ray cluster's head, but got '{printable(address[:100])}'."
        )
    try:
        socket.create_connection((host, int(port)), timeout=10.0).close()
    except OSError as error:
        reason = error.strerror or str(error)
        where = f"executor.address={printable(address[:100])}"
        raise ZeronasError(f"No Ray cluster answers at {where} ({reason}).") from None


def _check_room(ray: Any, cpus: float, gpus: float) -> None:
    """Raises a ``ZeronasError`` where no node, however free, has what an actor takes."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        return
    largest = ", ".join(f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in nodes)
    raise ZeronasError(
        f"An actor is to take {cpus:g} CPU and {gpus:g} GPU (executor.cpus, executor.gpus), but no node of the Ray "
        f"cluster has as many: {largest}."
    )


def _first_line(error: Exception | None) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."
