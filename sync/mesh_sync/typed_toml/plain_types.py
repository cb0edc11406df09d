"""Values back to JSON: the reverse of `table`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from attrs import fields


def as_json(value: object) -> str:
    """An attrs value, and all that is in it, as a line of JSON: objects, lists, text and numbers.

    Sets are sorted, so that equal values are equal text; paths and addresses are text.
    """
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: object) -> Any:
    """What the library has no word for, as something that it can go on with: it walks thousands of peers by itself."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    kind: Any = type(value)
    names = _names(kind)
    return {name: getattr(value, name) for name in names} if names else str(value)


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind)) if hasattr(kind, "__attrs_attrs__") else ()
