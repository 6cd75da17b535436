"""Options and settings: declared once as types, checked in one place, and refused in one sentence.

A component (a proxy, a searcher) declares its options as the annotated parameters of its constructor under
``@validated``; a group of settings is a frozen dataclass that ``parse`` makes, or that calls ``validate`` on itself.
Neither checks kinds or ranges by hand: pydantic does, strictly (a truth value is no number, "5" is no 5), and
``wanted`` says in words what a type accepts.

Hydra's structured configurations were the other choice: they convert silently ("5" and 5.7 become 5), know no ranges,
and speak of full_key and object_type where a user wants to read what the setting takes.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import types
import typing
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen, Predicate

from nas.core.errors import ZeronasError, did_you_mean

__all__ = [
    "Choice",
    "Count",
    "Device",
    "Fidelity",
    "Folder",
    "NotNegative",
    "OpenShare",
    "Options",
    "Positive",
    "Said",
    "Seed",
    "Share",
    "Size",
    "Sizes",
    "choice",
    "construct",
    "defaults",
    "parameters",
    "parse",
    "shown",
    "validate",
    "validated",
    "wanted",
]

T = TypeVar("T")

#: sizes and counts end here: what is larger is a slip, and fits in no tensor
_LARGEST = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Said:
    """Says in an annotation what the type accepts, where its bounds do not."""

    words: str


def _is_name(text: str) -> bool:
    # control characters, halves of surrogate pairs and line separators: a terminal obeys them, a table breaks at them
    return not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


def _is_device(text: str) -> bool:
    return re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,3})?", text) is not None


Size = Annotated[int, Ge(1), Le(_LARGEST)]
#: one size a layer
Sizes = Annotated[tuple[Size, ...], MinLen(1)]
Count = Annotated[int, Ge(0), Le(_LARGEST)]
Seed = Annotated[int, Ge(0), Le(2**63 - 1)]
Share = Annotated[float, Ge(0), Le(1)]
OpenShare = Annotated[float, Gt(0), Lt(1)]
Fidelity = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[float, Gt(0), Le(1e9)]
NotNegative = Annotated[float, Ge(0), Le(1e9)]
#: a folder or a file by name; the command line reads 2026 as a number, which is a name here
Folder = Annotated[str, Said("the name of a file or folder"), MinLen(1), Predicate(_is_name)]
Device = Annotated[str, Said("cpu, cuda, cuda:N or mps"), Predicate(_is_device)]
#: settings whose names are not known here
Options = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A component chosen by name, with options of its own: a group of settings with the key ``name``."""

    name: str
    options: Options


def shown(value: Any, longest: int = 60) -> str:
    """Returns a value as a message may quote it: on one line, no control characters, no longer than told.

    Args:
        longest: number of characters; paths are worth more of them.
    """
    if value is None:
        return "null"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"a whole number of about {int(value.bit_length() * 0.30103) + 1:,} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # such as a list that holds a number of 5,000 digits
        return f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def wanted(kind: Any, exact: bool = False) -> str:
    """Returns in words what a type accepts: "a whole number of 1 or more", "units or examples", "... or null".

    Args:
        exact: name an upper bound that only the largest slips meet, too.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        said = [one.words for one in arguments[1:] if isinstance(one, Said)]
        return said[0] if said else _bounded(arguments[0], arguments[1:], exact)
    if origin in (Union, types.UnionType):
        plain = [wanted(one, exact) for one in arguments if one is not type(None)]
        return _either([*dict.fromkeys(plain), *(["null"] if type(None) in arguments else [])])
    if origin is Literal:
        return _either([str(one) for one in arguments])
    if origin is tuple:
        return f"a list, each {wanted(arguments[0], exact)}"
    if kind is Any:
        return "anything"
    if origin is not None and issubclass(origin, Mapping):
        return "a group of settings"
    return _bounded(kind, (), exact)


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _bounded(kind: Any, bounds: tuple[Any, ...], exact: bool) -> str:
    if get_origin(kind) is tuple:
        some = any(isinstance(bound, MinLen) for bound in bounds)
        return f"a list of one or more, each {wanted(get_args(kind)[0], exact)}" if some else wanted(kind, exact)
    names = {bool: "true or false", str: "a word", int: "a whole number", float: "a number", dict: "a mapping"}
    text = names.get(kind, getattr(kind, "__name__", str(kind)))
    limits = {type(b): getattr(b, type(b).__name__.lower()) for b in bounds if isinstance(b, (Ge, Gt, Le, Lt))}
    low, high = limits.get(Ge), limits.get(Le)
    if high in (_LARGEST, 2**63 - 1, 1e9) and not exact:
        high = None
    if low is not None and high is not None:
        return f"{text} from {_figure(low)} to {_figure(high)}"
    if Gt in limits and Lt in limits:
        return f"{text} between {_figure(limits[Gt])} and {_figure(limits[Lt])}, both excluded"
    if low is not None and Lt in limits:
        return f"{text} from {_figure(low)} to below {_figure(limits[Lt])}"
    if Gt in limits:
        return f"{text} above {_figure(limits[Gt])}" + (f", up to {_figure(high)}" if high is not None else "")
    return f"{text} of {_figure(low)} or more" if low is not None else text


def _figure(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:,}"


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True))


def _value(owner: str, name: str, value: Any, kind: Any) -> Any:
    """Returns a value as its type has it (a list as a tuple, a whole number as a float where one is wanted).

    Raises:
        ZeronasError: it is not of the type.
    """
    try:
        if isinstance(value, bool) and get_origin(kind) is Literal:
            raise ValueError  # to Python True is 1
        return _adapter(kind).validate_python(_given(value, kind))
    except (ValueError, RecursionError, OverflowError):  # pydantic's ValidationError is a ValueError
        words = [word for word in _literals(kind) if isinstance(value, str)]
        if words:
            raise ZeronasError(
                f"Unknown {name} {shown(value)} of {owner[0].lower()}{owner[1:]}.{did_you_mean(value[:100], words)}"
            ) from None
        raise ZeronasError(
            f"{owner} needs {name} to be {wanted(kind, _is_large(value))}, but got {shown(value)}."
        ) from None


def _given(value: Any, kind: Any) -> Any:
    """Returns a value with lists as tuples and numbers as names, where the type has them so."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind == Folder:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1e9 else value
    if origin is Annotated:
        return _given(value, arguments[0])
    if origin in (Union, types.UnionType):
        kinds = [one for one in arguments if one is not type(None)]
        return _given(value, kinds[0]) if len(kinds) == 1 else value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_given(one, arguments[0]) for one in value)
    return value


def _is_large(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_large, value))
    return isinstance(value, (int, float)) and value >= 1e9


def _literals(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(one) for one in get_args(kind)]
    if get_origin(kind) in (Union, types.UnionType):
        parts = [one for one in get_args(kind) if one is not type(None)]
        return [word for one in parts for word in _literals(one)] if all(_literals(one) for one in parts) else []
    return []


def _owner(kind: type) -> str:
    what, name = getattr(kind, "kind", None), getattr(kind, "name", None)
    if isinstance(what, str):
        return f"{what} '{name}'" if isinstance(name, str) else what
    return kind.__name__


def validated(init: Callable[..., None]) -> Callable[..., None]:
    """Decorates a constructor: every argument is checked against its annotation and handed on as its type has it.

    The owner named in the sentence is the class's ``kind`` and ``name``: "Searcher 'evolution'".
    """
    signature = inspect.signature(init)

    @lru_cache(maxsize=1)
    def hints() -> dict[str, Any]:
        return typing.get_type_hints(init, include_extras=True)

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        owner = _owner(type(self))
        for name, value in list(bound.arguments.items())[1:]:
            if name in hints() and _plain(hints()[name]):
                bound.arguments[name] = _value(owner, name, value, hints()[name])
        init(*bound.args, **bound.kwargs)

    return checked


def _plain(kind: Any) -> bool:
    """Whether a type is made of numbers, words, truth values, lists and mappings, and not an object of ours."""
    if get_origin(kind) is Literal or kind in (int, float, str, bool, type(None)):
        return True
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType, tuple):
        return all(one is Ellipsis or _plain(one) for one in get_args(kind))
    return False


def validate(settings: Any, owner: str) -> None:
    """Checks the fields of a frozen dataclass against their types, in its ``__post_init__``.

    Raises:
        ZeronasError: a field is not of its type; the sentence names owner, field, what it accepts and the value.
    """
    hints = typing.get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        if _plain(hints[field.name]):
            value = _value(owner, field.name, getattr(settings, field.name), hints[field.name])
            object.__setattr__(settings, field.name, value)


def parameters(kind: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Returns the options of a class or factory: its parameters by name."""
    found = inspect.signature(kind).parameters
    return {
        name: parameter
        for name, parameter in found.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def defaults(kind: Callable[..., Any]) -> dict[str, Any]:
    """Returns name -> default of the options of a class or factory that have one."""
    return {name: one.default for name, one in parameters(kind).items() if one.default is not one.empty}


def construct(kind: Callable[..., T], owner: str, options: Any, *given: Any) -> T:
    """Returns ``kind(*given, **options)``; options that it does not have, or lacks, are told by name.

    Args:
        owner: how a sentence names it, such as "Searcher 'evolution'".
        options: a mapping of option names to values.
        given: leading arguments that are not options.

    Raises:
        ZeronasError: ``options`` is no mapping, names an unknown option, lacks one without a default, or holds a value
            that is not of its type.
    """
    known = dict(list(parameters(kind).items())[len(given) :])
    return kind(*given, **_named(known, owner, "", options))


def _named(known: Mapping[str, inspect.Parameter], owner: str, path: str, options: Any) -> dict[str, Any]:
    """Returns the options as a dict if each is known, and all that have no default are there."""
    if not isinstance(options, Mapping):
        names = f" ({', '.join(f'{path}{name}' for name in known)})" if known else ""
        what = f"{path[:-1]} to be a group of settings{names}" if path else f"options{names}"
        raise ZeronasError(f"{owner} needs {what}, but got {shown(options)}.")
    for name in options:
        if name not in known:
            hint = did_you_mean(f"{path}{name}"[:100], [f"{path}{one}" for one in known]) if known else " It has none."
            raise ZeronasError(f"{owner} has no option {shown(f'{path}{name}')}.{hint}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in options:
            raise ZeronasError(f"{owner} needs {path}{name}, which is not given.")
    return dict(options)


def parse(kind: type[T], data: Any, owner: str, path: str = "") -> T:
    """Returns a dataclass of settings made from a mapping; nested dataclasses are made from nested mappings.

    Args:
        owner: how a sentence names it, such as "zeronas search".
        path: of the settings as a user types it, such as "executor.".

    Raises:
        ZeronasError: as ``construct``; the sentence names the setting with its path, such as ``executor.workers``.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    values = _named(parameters(kind), owner, path, data)
    for name, value in values.items():
        label, hint = f"{path}{name}", hints[name]
        if hint is Choice:
            values[name] = choice(value, owner, label)
        elif dataclasses.is_dataclass(hint):
            values[name] = parse(hint, value, owner, f"{label}.")  # type: ignore[arg-type]
        else:
            values[name] = _value(owner, label, value, hint)
    return kind(**values)


def choice(value: Any, owner: str, label: str) -> Choice:
    """Returns the component that a group of settings chooses.

    Args:
        owner: how a sentence names who needs it, such as "zeronas search".
        label: the group as a user types it, such as "searcher".

    Raises:
        ZeronasError: it is no group, or its ``name`` is missing or no word.
    """
    if not isinstance(value, Mapping):
        raise ZeronasError(
            f"{owner} needs {label} to be a group of settings ({label}.name and its options), but got {shown(value)}."
        )
    options = dict(_value(owner, label, value, Options))
    if "name" not in options:
        raise ZeronasError(f"{owner} needs {label}.name, which is not given.")
    name = _value(owner, f"{label}.name", options.pop("name"), Annotated[str, MinLen(1)])
    return Choice(name, options)
