"""Tables of TOML and objects of JSON to attrs types: the class says what there may be, and hooks what it cannot say.

    @frozen
    class Past:
        commit: str
        applied_at: float                       # seconds
        ended: Literal["confirmed", "rolled-back"]
        found: Desired | None = None            # another attrs class; null in JSON is None

    past_of = table(Past, commit=full_hash)     # made once, at the top of a module
    past = past_of(read_json(content))          # raises Wrong with every problem
    as_json(past)                               # and back

A key without a value takes the class's default, a key that the class does not have is a problem. Annotations are
evaluated when a table is first read, so a class may name itself, and what is never read costs nothing at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, reduce
from itertools import takewhile
from operator import or_
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Generic, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from attrs import NOTHING, AttrsInstance, fields, has

from mesh_sync.findings import MAX_ERRORS, Finding, shown
from mesh_sync.typed_toml.fields import Hook, absolute_path, anything, one_of, seconds, text, truth, whole

T = TypeVar("T", bound=AttrsInstance)
V = TypeVar("V")
Problems = list[tuple[str, str]]
_PLAIN: Mapping[object, Hook] = {
    str: text, bool: truth, int: whole, float: seconds, Path: absolute_path, Any: anything,
}  # fmt: skip
_TEXT = {str}
_NONE: Mapping[Any, Any] = MappingProxyType({})


class Wrong(ValueError):
    """Everything that is wrong with a file or a value of it: pairs of key and message, or one message without a key."""

    def __init__(self, problems: Problems | str) -> None:
        super().__init__(problems)
        self.problems = [("", problems)] if isinstance(problems, str) else problems

    def __str__(self) -> str:
        return "; ".join(f"{key}: {message}" if key else message for key, message in self.problems)

    def lines(self, place: str) -> str:
        """A line for each problem, ``place`` before its key."""
        return "\n".join(f"{place}{key}: {message}" for key, message in self.problems)

    def findings(self, file: str) -> Iterator[Finding]:
        """A finding for each problem, as far as they are listed."""
        return (Finding(file, key, message) for key, message in self.problems[:MAX_ERRORS])


def table(
    kind: type[T], known: Mapping[Any, Hook] = _NONE, /, keys: Mapping[str, str | None] = _NONE, **hooks: Hook
) -> Callable[..., T]:
    """A hook for the attrs class ``kind``. It raises Wrong.

    ``hooks``: those of attributes; ``known``: those of types, where it or a class inside it has them. ``keys``: what an
    attribute is called in the file where that differs; None if the file does not have it: a caller may give it.
    """
    return _Table(kind, dict(known), keys, hooks)


class _Table(Generic[T]):
    def __init__(
        self, kind: type[T], known: dict[Any, Hook], keys: Mapping[str, str | None], hooks: Mapping[str, Hook]
    ) -> None:
        self._kind, self._known, self._keys, self._hooks = kind, known, keys, hooks

    def __call__(self, value: object, **given: Any) -> T:
        if not isinstance(value, dict):
            raise Wrong(f"must be a table, not {shown(value)}")
        problems: Problems = []
        found: dict[str, Any] = {}
        hooks = self._by_key
        for key, item in value.items():
            if key in hooks:
                attribute, hook = hooks[key]
                if hook is text and type(item) is str:  # most of a large state file
                    found[attribute] = item
                    continue
                try:
                    found[attribute] = hook(item)
                except (ValueError, RecursionError) as error:
                    problems += _problems(key, error)
        if problems or len(found) < len(value) or not self._required <= value.keys():
            problems += [(key, "is missing") for key in sorted(self._required - value.keys())]
            unknown = sorted(value.keys() - hooks.keys())
            problems += [(key, "unknown key" + _meant(key, hooks.keys() - value.keys())) for key in unknown]
            raise Wrong(problems)
        return self._kind(**found, **given)

    @cached_property
    def _by_key(self) -> dict[str, tuple[str, Hook]]:
        """The attribute and the hook of each key."""
        self._known.setdefault(self._kind, self)
        types = get_type_hints(self._kind)
        return {
            key: (each.alias, self._hooks.get(each.name) or _hook_of(types[each.name], self._known))
            for each in fields(self._kind)
            if (key := self._keys.get(each.name, each.name)) is not None
        }

    @cached_property
    def _required(self) -> frozenset[str]:
        needed = {each.alias for each in fields(self._kind) if each.default is NOTHING}
        return frozenset(key for key, (attribute, _) in self._by_key.items() if attribute in needed)


def _in_common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _meant(key: str, known: Iterable[str]) -> str:
    """What to say of a key that is one or two letters away from a known one. Quick: strangers write such files."""
    for one in sorted(known):
        start = _in_common(key, one)
        end = _in_common(key[start:][::-1], one[start:][::-1])
        if len(one) > 3 and max(len(key), len(one)) - start - end <= min(2, len(one) // 3):
            return f"; did you mean {one}?"
    return ""


def list_of(hook: Hook, collect: Callable[[list[Any]], Any] = tuple, most: int | None = None, empty: str = "") -> Hook:
    """A hook for a list of what ``hook`` takes, given as ``collect`` makes it. It raises Wrong.

    ``most``: how many there may be; ``empty``: why there must be one, if there must.
    """

    def read(value: object) -> Any:
        if not isinstance(value, list):
            raise Wrong(f"must be a list, not {shown(value)}")
        if most is not None and len(value) > most:
            raise Wrong(f"has {len(value):,} entries; at most {most:,} are allowed")
        if empty and not value:
            raise Wrong(f"is empty; {empty}")
        if hook is text and {*map(type, value)} <= _TEXT:
            return collect(value)
        problems: Problems = []
        found = []
        for index, item in enumerate(value):
            try:
                found.append(hook(item))
            except (ValueError, RecursionError) as error:
                problems += _problems(f"[{index}]", error)
        if problems:
            raise Wrong(problems)
        return collect(found)

    return read


def mapping_of(hook: Callable[[object], V], name: Hook = text) -> Callable[[object], dict[Any, V]]:
    """A hook for a table whose keys are what ``name`` takes, and its values what ``hook`` takes. It raises Wrong."""

    def pair(item: Any) -> tuple[Any, V]:
        return name(item[0]), hook(item[1])

    def read(value: object) -> dict[Any, V]:
        if not isinstance(value, dict):
            raise Wrong(f"must be a table, not {shown(value)}")
        if name is text and hook is text and {*map(type, value), *map(type, value.values())} <= _TEXT:
            return value
        problems: Problems = []
        found = [take(pair, item, item[0], problems) for item in value.items()]
        if problems:
            raise Wrong(problems)
        return dict(found)

    return read


def take(hook: Hook, value: object, key: str, problems: Problems) -> Any:
    """What ``hook`` makes of the value; None, and ``problems`` with its key, if that is wrong."""
    try:
        return hook(value)
    except (ValueError, RecursionError) as error:
        problems += _problems(key, error)
        return None


def _problems(key: str, error: Exception) -> Problems:
    if isinstance(error, Wrong):
        return [(key + ("." if inner[:1] not in ("", "[") else "") + inner, text) for inner, text in error.problems]
    return [(key, "is nested too deep" if isinstance(error, RecursionError) else str(error))]


def _hook_of(kind: Any, known: dict[Any, Hook]) -> Hook:
    """The hook that a type speaks for; TypeError if it does not."""
    if hook := known.get(kind) or _PLAIN.get(kind):
        return hook
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return one_of(*inner)
    if origin in (Union, UnionType) and NoneType in inner:
        return _optional(_hook_of(reduce(or_, (each for each in inner if each is not NoneType)), known))
    if origin is tuple and inner[1:] == (...,):
        return list_of(_hook_of(inner[0], known))
    if origin is tuple:
        return _row([_hook_of(each, known) for each in inner])
    if origin is frozenset:
        return list_of(_hook_of(inner[0], known), frozenset)
    if origin in (dict, Mapping):
        return mapping_of(_hook_of(inner[1], known))
    if isinstance(kind, NewType):
        return _hook_of(kind.__supertype__, known)
    if has(kind):
        return known.setdefault(kind, _Table(kind, known, _NONE, _NONE))
    raise TypeError(f"{kind} needs a hook")


def _optional(hook: Hook) -> Hook:
    return lambda value: None if value is None else hook(value)


def _row(hooks: list[Hook]) -> Hook:
    """A hook for a list of so many values, each of its own kind."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(hooks):
            raise Wrong(f"must be a list of {len(hooks)}, not {shown(value)}")
        problems: Problems = []
        pairs = enumerate(zip(hooks, value, strict=True))
        found = tuple(take(hook, item, f"[{index}]", problems) for index, (hook, item) in pairs)
        if problems:
            raise Wrong(problems)
        return found

    return read
