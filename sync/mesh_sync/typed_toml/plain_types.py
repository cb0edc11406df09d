"""Plain values that were read from a file: whether each is of the kind that its attrs type declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from attrs import fields

if TYPE_CHECKING:
    from attrs import AttrsInstance

    T = TypeVar("T", bound=AttrsInstance)

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
