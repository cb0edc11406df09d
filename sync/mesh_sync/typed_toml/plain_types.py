"""Values back to JSON: the reverse of `table`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import compress, repeat
from operator import attrgetter, is_not
from typing import Any

from attrs import fields


def as_json(value: object, brief: type | None = None) -> str:
    """An attrs value, and all that is in it, as a line of JSON: objects, lists, text and numbers.

    Sets are sorted, so that equal values are equal text; paths and addresses are text. ``brief``: the class of which
    there are thousands; what of one is as usual, its default, is left out, and is read all the same.
    """
    return json.dumps(value, default=partial(_plain, brief), separators=(",", ":"), check_circular=False)


def _plain(brief: type | None, value: object) -> Any:
    """What the library has no word for, as something that it can go on with: it walks thousands of peers by itself."""
    if isinstance(value, frozenset):
        return sorted(value, key=str)  # addresses of the two IP versions have no order among them
    if isinstance(value, Mapping):
        return dict(value)
    kind: Any = type(value)
    names, defaults, get = _attributes(kind)
    if not names:
        return str(value)
    found = get(value)
    unusual = map(is_not, found, defaults) if kind is brief else repeat(True)
    return dict(compress(zip(names, found, strict=True), unusual))


@cache
def _attributes(kind: Any) -> tuple[tuple[str, ...], tuple[object, ...], Callable[[object], tuple[object, ...]]]:
    """The names of an attrs class's attributes, their defaults, and what gets all of them; of any other class none."""
    if not hasattr(kind, "__attrs_attrs__"):
        return (), (), lambda _: ()
    names = tuple(each.name for each in fields(kind))
    get = attrgetter(*names) if len(names) > 1 else lambda value: tuple(getattr(value, name) for name in names)
    return names, tuple(each.default for each in fields(kind)), get
