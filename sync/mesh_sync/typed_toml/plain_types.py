"""Values back to what JSON can hold: the reverse of `table`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import fields

if TYPE_CHECKING:
    from attrs import AttrsInstance

    T = TypeVar("T", bound=AttrsInstance)


def plain(value: object) -> Any:
    """An attrs value, and all that is in it, as dicts, lists, text and numbers.

    Sets are sorted, so that equal values are equal text; paths and addresses are text.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    kind: Any = type(value)
    names = _names(kind)
    return {name: plain(getattr(value, name)) for name in names} if names else str(value)


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind)) if hasattr(kind, "__attrs_attrs__") else ()


LAST_MOMENT = 6e10
"""Unix seconds, before or after 1970, that no calendar of Python's reaches far beyond."""


def checked(read: T) -> T:
    """Raise TypeError when a plain value is not of its kind: it would be met much later, half-way through a change."""
    for each in fields(type(read)):
        is_right = _KINDS.get(str(each.type))
        if is_right and not is_right(getattr(read, each.name)):
            raise TypeError(f"{each.name} is not of its kind")
    return read


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < LAST_MOMENT


def _are_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "int": lambda value: isinstance(value, int),
    "bool": lambda value: isinstance(value, bool),
    "float": _is_moment,
    "float | None": lambda value: value is None or _is_moment(value),
    "Mapping[str, str]": _are_texts,
}
"""How to know a plain value, by the name of its type. A float is a moment, in Unix seconds."""
