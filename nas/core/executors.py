"""Executors: where work is done. Answers are the same wherever that is; what differs is how long they take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

from annotated_types import Ge, Le

from nas.core.dispatch import Crew, Work
from nas.core.options import validated

__all__ = ["Executor", "LocalExecutor", "Memory", "Part", "RayExecutor", "Workers"]

#: GiB of memory
Memory = Annotated[float, Ge(0.05), Le(1e6)]
Workers = Annotated[int, Ge(1), Le(1024)]
#: cores or devices that a worker takes of its node
Part = Annotated[float, Ge(0), Le(1024)]


class Executor(ABC):
    """Where proxies are scored and cells are trained.

    Attributes:
        name: that of ``executor=`` on the command line.
        workers: how many work side by side.
    """

    kind = "Executor"
    name: str
    workers: int

    @abstractmethod
    def crew(self, work: Work, most: int | None = None) -> Crew | None:
        """Returns workers that do some work, or None where this process is to do it itself.

        Args:
            most: how many items there are at most, if that is known; more workers are not started.

        Raises:
            ZeronasError: there can be none.
        """

    @classmethod
    def of(cls, executor: Executor | int) -> Executor:
        """Returns an executor as it is, or that of so many processes on this machine."""
        return executor if isinstance(executor, Executor) else LocalExecutor(executor)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))


class LocalExecutor(Executor):
    """Processes on this machine.

    Args:
        workers: how many; a single one is this process itself, unless its memory is limited.
        memory: GiB of resident memory that each may take. What needs more is a failure "out of memory".
    """

    name = "local"

    @validated
    def __init__(self, workers: Workers = 1, memory: Memory | None = None) -> None:
        self.workers, self.memory = workers, memory

    def crew(self, work: Work, most: int | None = None) -> Crew | None:
        workers = self.workers if most is None else max(1, min(self.workers, most))
        if workers == 1 and self.memory is None:
            return None
        from nas.core.processes import ProcessCrew

        return ProcessCrew(workers, work, self.memory)


class RayExecutor(Executor):
    """Actors of a Ray cluster (extra ``[ray]``).

    Args:
        workers: how many actors.
        address: of a running cluster; "auto" finds the one that this machine belongs to; None: one is started here,
            and ends with the command.
        cpus, gpus: what an actor takes of its node, in cores and devices; several may share a device.
        memory: GiB that each may take, as for ``LocalExecutor``.
    """

    name = "ray"

    @validated
    def __init__(
        self,
        workers: Workers = 2,
        address: str | None = None,
        cpus: Part = 1.0,
        gpus: Part = 0.0,
        memory: Memory | None = None,
    ) -> None:
        self.workers, self.address = workers, address
        self.cpus, self.gpus, self.memory = cpus, gpus, memory

    def crew(self, work: Work, most: int | None = None) -> Crew | None:
        from nas.core.cluster import RayCrew

        workers = self.workers if most is None else max(1, min(self.workers, most))
        return RayCrew(workers, work, self.address, self.cpus, self.gpus, self.memory)
