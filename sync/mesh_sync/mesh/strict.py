"""TOML tables to attrs types, strictly and with all errors at once: a thin set of cattrs hooks.

Nothing is converted silently: a number in quotes is not a number, and an unknown key is an error.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
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
from mesh_sync.typed_toml.fields import Hook, exactly, words


def converter() -> cattrs.Converter:
    """A converter that knows text, numbers, true and false, and lists; tables are added with `table`."""
    made = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    made.register_structure_hook(str, words)
    made.register_structure_hook(int, exactly(int, "a number"))
    made.register_structure_hook(bool, exactly(bool, "true or false"))
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
