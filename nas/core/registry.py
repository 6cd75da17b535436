"""One generic registry: a name finds its class, an unknown name is told the nearest one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from nas.core.errors import ZeronasError, did_you_mean

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to objects (classes or factories) of one ``kind``, in order of registration."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Returns a decorator that registers its object as ``name``; a second owner of a name is an error."""

        def add(item: T) -> T:
            if name in self._items and self._items[name] is not item:
                raise ZeronasError(
                    f"{self.kind} '{name}' is already registered by {_origin(self._items[name])}; "
                    f"{_origin(item)} must take another name."
                )
            self._items[name] = item
            return item

        return add

    def get(self, name: str) -> T:
        """Returns the object registered as ``name``.

        Raises:
            ZeronasError: no such name; the sentence proposes the nearest one.
        """
        if name not in self._items:
            raise ZeronasError(f"Unknown {self.kind} '{name}'.{did_you_mean(name, self._items)}")
        return self._items[name]

    def names(self) -> list[str]:
        """Returns all names in order of registration."""
        return list(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)


def _origin(item: object) -> str:
    return f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', item)}"
