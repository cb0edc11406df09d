"""TOML tables to attrs types, strictly and with all errors at once: a thin set of cattrs hooks.

Nothing is converted silently: a number in quotes is not a number, and an unknown key is an error.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn

from mesh_sync.findings import shown

Hook = Callable[[object, object], Any]


def converter() -> cattrs.Converter:
    """A converter that knows text, numbers, true and false, paths and lists; tables are added with `table`."""
    made = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    made.register_structure_hook(str, lambda value, _: text(value))
    made.register_structure_hook(int, _exactly(int, "a number"))
    made.register_structure_hook(bool, _exactly(bool, "true or false"))
    made.register_structure_hook(Path, _path)
    made.register_structure_hook_factory(_is_tuple, lambda kind: list_of(made, kind))
    return made


def problems(error: BaseException, path: str = "") -> Iterator[tuple[str, str]]:
    """Given what structuring raised, yield every problem as (key, message)."""
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from problems(inner, path + _step(inner, after=path))
    elif isinstance(error, ForbiddenExtraKeysError):
        for key in sorted(error.extra_fields):
            yield f"{path}.{key}" if path else key, "unknown key"
    elif isinstance(error, KeyError):
        yield path, "is missing"
    else:
        yield path, str(error)


def _step(error: BaseException, after: str) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f".{note.name}" if after else note.name
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]"
    return ""


def text(value: object) -> str:
    """Given a value of the file, return it if it is text; else ValueError."""
    if type(value) is not str:
        raise ValueError(f"must be text in quotes, not {shown(value)}")
    return value


def between(low: int, high: int, what: str) -> Hook:
    """A hook for whole numbers from ``low`` to ``high``; ``what`` names them in the message."""

    def hook(value: object, _: object) -> object:
        if type(value) is not int:
            raise ValueError(f"must be a number, not {shown(value)}")
        if not low <= value <= high:
            raise ValueError(f"{shown(value)} is not {what} ({low} to {high})")
        return value

    return hook


def one_of(*words: str) -> Hook:
    """A hook for a choice of words."""

    def hook(value: object, _: object) -> object:
        if text(value) not in words:
            raise ValueError(f"{shown(value)} is none of {', '.join(map(repr, words))}")
        return value

    return hook


def table(made: cattrs.Converter, kind: type, **overrides: Any) -> Hook:
    """A hook for the attrs class ``kind``; ``overrides`` as cattrs takes them."""
    fields: Any = make_dict_structure_fn(kind, made, _cattrs_forbid_extra_keys=True, **overrides)

    def hook(value: object, target: Any) -> object:
        if not isinstance(value, dict):
            raise ValueError(f"must be a table, not {shown(value)}")
        return fields(value, target)

    return hook


def list_of(made: cattrs.Converter, kind: Any) -> Hook:
    """A hook for ``tuple[X, ...]``, written as a list."""
    many: Any = types.GenericAlias(list, get_args(kind)[:1])
    inner = made.get_structure_hook(many)

    def hook(value: object, _: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {shown(value)}")
        return tuple(inner(value, many))

    return hook


def _is_tuple(kind: Any) -> bool:
    origin: object = get_origin(kind)
    return origin is tuple


def _exactly(kind: type, name: str) -> Hook:
    def hook(value: object, _: object) -> object:
        if type(value) is not kind:
            raise ValueError(f"must be {name}, not {shown(value)}")
        return value

    return hook


def _path(value: object, _: object) -> Path:
    path = Path(text(value))
    if not path.is_absolute():
        raise ValueError(f"{shown(value)} is not an absolute path")
    return path
