"""Options and settings: declared once as types, checked in one place, and told in one sentence.

A component (a proxy, a searcher) declares its options as the annotated parameters of its constructor under
``@validated``; a group of settings is a frozen dataclass that calls ``validate`` on itself. Neither checks kinds or
ranges by hand: pydantic does, strictly (a truth value is no number, "5" is no 5), and ``wanted`` says in words what a
type accepts.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen

from nas.core.errors import ZeronasError, did_you_mean

__all__ = [
    "Count",
    "Folder",
    "NotNegative",
    "OpenShare",
    "Positive",
    "Seed",
    "Share",
    "Size",
    "checked",
    "construct",
    "flag",
    "mapping",
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

Size = Annotated[int, Ge(1), Le(_LARGEST)]
Count = Annotated[int, Ge(0), Le(_LARGEST)]
Seed = Annotated[int, Ge(0), Le(2**63 - 1)]
Share = Annotated[float, Ge(0), Le(1)]
OpenShare = Annotated[float, Gt(0), Lt(1)]
Positive = Annotated[float, Gt(0), Le(1e9)]
NotNegative = Annotated[float, Ge(0), Le(1e9)]
#: a folder or a file by name; the command line reads 2026 as a number, which is a name here
Folder = Annotated[str, MinLen(1)] | Annotated[int, Ge(0), Le(_LARGEST)]

_LONGEST = 60


def shown(value: Any) -> str:
    """Returns a value as a message may quote it: on one line, no control characters, at most some 60 characters."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"a whole number of about {int(value.bit_length() * 0.30103) + 1:,} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # such as a list that holds a number of 5,000 digits
        return f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def wanted(kind: Any) -> str:
    """Returns in words what a type accepts: "a whole number of 1 or more", "units or examples", "... or null"."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        plain = [wanted(one) for one in arguments if one is not type(None)]
        if kind == Folder:
            plain = ["the name of a file or folder"]
        return _either([*dict.fromkeys(plain), *(["null"] if type(None) in arguments else [])])
    if origin is Literal:
        return _either([str(one) for one in arguments])
    if origin is tuple:
        return f"a list of one or more, each {wanted(arguments[0])}"
    if kind is Any:
        return "anything"
    if origin is not None and issubclass(origin, Mapping):
        return "a mapping of settings"
    return _bounded(kind, ())


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _bounded(kind: Any, bounds: tuple[Any, ...]) -> str:
    if get_origin(kind) is tuple:
        return wanted(kind)
    names = {bool: "true or false", str: "a word", int: "a whole number", float: "a number", dict: "a mapping"}
    text = names.get(kind, getattr(kind, "__name__", str(kind)))
    limits = {type(b): getattr(b, type(b).__name__.lower()) for b in bounds if isinstance(b, (Ge, Gt, Le, Lt))}
    low, high = limits.get(Ge), limits.get(Le)
    if low is not None and high is not None:
        return f"{text} of {low:,} or more" if high in (_LARGEST, 1e9) else f"{text} from {low:,} to {high:,}"
    if Gt in limits and Lt in limits:
        return f"{text} between {limits[Gt]:,} and {limits[Lt]:,}, both excluded"
    if low is not None and Lt in limits:
        return f"{text} from {low:,} to below {limits[Lt]:,}"
    if Gt in limits:
        return f"{text} above {limits[Gt]:,}"
    return f"{text} of {low:,} or more" if low is not None else text


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True))


def _value(owner: str, name: str, value: Any, kind: Any) -> Any:
    """Returns a value as its type has it (a list as a tuple, a whole number as a float where one is wanted).

    Raises:
        ZeronasError: it is not of the type.
    """
    from pydantic import ValidationError

    given = tuple(value) if isinstance(value, list) and "tuple" in str(kind) else value
    try:
        return _adapter(kind).validate_python(given)
    except (ValidationError, RecursionError):
        words = [word for word in _literals(kind) if isinstance(value, str)]
        if words:
            raise ZeronasError(
                f"Unknown {name} {shown(value)} of {owner[0].lower()}{owner[1:]}.{did_you_mean(str(value), words)}"
            ) from None
        raise ZeronasError(f"{owner} needs {name} to be {wanted(kind)}, but got {shown(value)}.") from None


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


def parameters(kind: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, inspect.Parameter]:
    """Returns the options of a class or factory: its parameters by name, ``self`` and those in ``without`` left out."""
    found = inspect.signature(kind).parameters
    return {
        name: parameter
        for name, parameter in found.items()
        if name not in without and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


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
    if not isinstance(options, Mapping):
        raise ZeronasError(f"{owner} takes settings of its own, NAME=VALUE, but got {shown(options)}.")
    known = dict(list(parameters(kind).items())[len(given) :])
    for name in options:
        if name not in known:
            hint = did_you_mean(str(name), known) if known else " It has none."
            raise ZeronasError(f"{owner} has no option {shown(str(name))}.{hint}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in options:
            raise ZeronasError(f"{owner} needs {name}, which is not given.")
    return kind(*given, **options)


def parse(kind: type[T], data: Any, owner: str) -> T:
    """Returns a dataclass of settings made from a mapping; nested dataclasses are made from nested mappings.

    Raises:
        ZeronasError: as ``construct``; the sentence names the setting with its path, such as ``executor.workers``.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    values = dict(data) if isinstance(data, Mapping) else data
    if isinstance(values, dict):
        for name, hint in hints.items():
            if dataclasses.is_dataclass(hint) and name in values:
                values[name] = parse(hint, values[name], f"{owner}.{name}" if owner else name)  # type: ignore[arg-type]
    return construct(kind, owner, values)


def checked(owner: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options if each is of the kind of its default: a truth value, a number, a word or a list.

    An option whose default is None takes None, a number or a word. Whether a number is in range is the owner's check.

    Raises:
        ZeronasError: one is of another kind.
    """
    for name, value in options.items():
        default = defaults[name]
        wanted = ""
        if isinstance(default, bool):
            wanted = "" if isinstance(value, bool) else "true or false"
        elif isinstance(default, (int, float)):
            wanted = "" if _is_number(value) else "a number"
        elif isinstance(default, (list, tuple)):
            wanted = "" if isinstance(value, (list, tuple)) and all(map(_is_number, value)) else "a list of numbers"
        elif default is None:
            wanted = "" if value is None or _is_number(value) or isinstance(value, str) else "a number, a word or null"
        elif isinstance(default, str):
            wanted = "" if isinstance(value, str) or _is_number(value) else "a word"
        if wanted:
            raise ZeronasError(f"{owner} needs {name} to be {wanted}, but got {value!r}.")
    return dict(options)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def flag(config: Mapping[str, Any], key: str) -> bool:
    """Returns ``config[key]`` if it is true or false.

    Raises:
        ZeronasError: it is anything else (``no`` is a word to the command line, not a truth value).
    """
    if not isinstance(config[key], bool):
        raise ZeronasError(f"{key} must be true or false, but got {config[key]!r}.")
    return bool(config[key])


def mapping(config: Mapping[str, Any], key: str, example: str) -> dict[str, Any]:
    """Returns ``config[key]`` if it is a mapping.

    Raises:
        ZeronasError: it is anything else.
    """
    if not isinstance(config.get(key), Mapping):
        raise ZeronasError(f"{key} holds settings of its own, such as {example}, but got {config.get(key)!r}.")
    return dict(config[key])
