"""One generic registry: classes by name, a suggestion for an unknown name, and the entries of plug-ins.

Another package adds spaces, proxies, searchers or benchmarks by an entry point of the group ``zeronas``: a module that
registers what it brings when it is imported, as zeronas's own modules do.

    [project.entry-points.zeronas]
    my_space = "my_package.zeronas_plugin"

Where its settings have files of their own (``space/NAME.yaml``, ``benchmark/NAME.yaml``, ...), the module names the
package that holds them, and the command line looks there too: ``CONFIGURATION = "my_package.conf"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Generic, TypeVar

from nas.core.errors import ZeronasError, did_you_mean

__all__ = ["PLUGINS", "Registry", "configurations", "load_plugins"]

#: the group of entry points
PLUGINS = "zeronas"

T = TypeVar("T")


@cache
def load_plugins() -> Mapping[str, Any]:
    """Imports the modules that other packages name as entry points, once: entry point's name -> module.

    Raises:
        ZeronasError: one cannot be imported.
    """
    from importlib.metadata import entry_points

    loaded = {}
    for point in sorted(entry_points(group=PLUGINS), key=lambda point: point.name):
        try:
            loaded[point.name] = point.load()
        except ZeronasError:
            raise
        except Exception as error:  # whatever another package does wrong
            raise ZeronasError(
                f"The plug-in '{point.name}' ({point.value}) cannot be loaded: {type(error).__name__}: {error}."
            ) from None
    return loaded


def configurations() -> list[str]:
    """Returns the packages in which plug-ins keep the files of their settings."""
    return [plugin.CONFIGURATION for plugin in load_plugins().values() if hasattr(plugin, "CONFIGURATION")]


class Registry(Generic[T]):
    """Maps names to objects (classes or factories) of one ``kind``, in order of registration.

    What is defined anew for one space is registered with its name, and is found before the definition for all spaces.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, dict[str, T]] = {}  # name -> space, "" for all -> object

    def register(self, name: str, space: str = "") -> Callable[[T], T]:
        """Returns a decorator that registers its object as ``name``; a second owner of a name is an error.

        Args:
            space: the one space that it is for; "" for all.
        """

        def add(item: T) -> T:
            items = self._items.setdefault(name, {})
            if space in items and items[space] is not item:
                where = f" for space '{space}'" if space else ""
                raise ZeronasError(
                    f"{self.kind} '{name}' is already registered{where} by {_origin(items[space])}; "
                    f"{_origin(item)} must take another name."
                )
            items[space] = item
            return item

        return add

    def get(self, name: str, space: str = "") -> T:
        """Returns the object registered as ``name``, the one for the space if there is one.

        Without a space, or for one that nothing is registered for, it is the object for all spaces, else the first.

        Raises:
            ZeronasError: no such name; the sentence proposes the nearest one.
        """
        load_plugins()
        if not isinstance(name, str) or name not in self._items:
            raise ZeronasError(f"Unknown {self.kind} {_quoted(name)}.{did_you_mean(str(name)[:100], self._items)}")
        items = self._items[name]
        return items.get(space, items.get("", next(iter(items.values()))))

    def kinds(self, name: str) -> dict[str, T]:
        """Returns space ("" for all) -> object of everything registered as ``name``.

        Raises:
            ZeronasError: no such name.
        """
        self.get(name)
        return dict(self._items[name])

    def names(self) -> list[str]:
        """Returns all names in order of registration, those of plug-ins last."""
        load_plugins()
        return list(self._items)

    def __contains__(self, name: object) -> bool:
        load_plugins()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def _quoted(name: object) -> str:
    text = name if isinstance(name, str) else repr(name)
    return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}...'"


def _origin(item: object) -> str:
    return f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', item)}"
