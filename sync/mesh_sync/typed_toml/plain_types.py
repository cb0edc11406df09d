"""Values back to what JSON can hold: the reverse of `table`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from attrs import fields


def plain(value: object) -> Any:
    """An attrs value, and all that is in it, as dicts, lists, text and numbers.

    Sets are sorted, so that equal values are equal text; paths and addresses are text.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return list(value) if _is_text(value) else [plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value if _is_text(value) else (plain(item) for item in value))
    if isinstance(value, Mapping):
        return dict(value) if _is_text(value.values()) else {key: plain(item) for key, item in value.items()}
    kind: Any = type(value)
    names = _names(kind)
    return {name: plain(getattr(value, name)) for name in names} if names else str(value)


def _is_text(values: Iterable[object]) -> bool:
    """Whether all of them are text, as most is in what is kept of a large mesh."""
    return {*map(type, values)} <= {str}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind)) if hasattr(kind, "__attrs_attrs__") else ()
