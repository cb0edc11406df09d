"""Values back to JSON: the reverse of `table`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, partial
from itertools import repeat
from typing import Any

from attrs import fields


def as_json(value: object, brief: type | None = None) -> str:
    """An attrs value, and all that is in it, as a line of JSON: objects, lists, text and numbers.

    Sets are sorted, so that equal values are equal text; paths and addresses are text. ``brief``: the class of which
    there are thousands; what of one is as usual, its default, is left out, and is read all the same.
    """
    return json.dumps(value, default=partial(_plain, brief), separators=(",", ":"))


def _plain(brief: type | None, value: object) -> Any:
    """What the library has no word for, as something that it can go on with: it walks thousands of peers by itself."""
    if isinstance(value, frozenset):
        return sorted(value, key=str)  # addresses of the two IP versions have no order among them
    if isinstance(value, Mapping):
        return dict(value)
    kind: Any = type(value)
    defaults = _defaults(kind)
    if not defaults:
        return str(value)
    found = zip(defaults, map(getattr, repeat(value), defaults), strict=True)
    return {name: item for name, item in found if item is not defaults[name]} if kind is brief else dict(found)


@cache
def _defaults(kind: Any) -> Mapping[str, object]:
    """The attributes of an attrs class, each with its default; of any other none."""
    return {each.name: each.default for each in fields(kind)} if hasattr(kind, "__attrs_attrs__") else {}
