"""node.toml's tables to attrs types, strictly and with all errors at once.

What `strict` does with cattrs for the mesh, in little: importing cattrs alone takes longer than a whole `now` with
nothing to do may.
"""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import NOTHING, AttrsInstance, fields

from mesh_sync.findings import shown
from mesh_sync.typed_toml.fields import Hook

T = TypeVar("T", bound=AttrsInstance)


class Wrong(Exception):
    """Everything that is wrong with a table or a list: pairs of key and message."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems)
        self.problems = problems


def table(kind: type[T], **hooks: Hook) -> Hook:
    """A hook for the attrs class ``kind``; its defaults stand for missing keys. It raises Wrong."""
    required = {attribute.name for attribute in fields(kind) if attribute.default is NOTHING}

    def structure(value: object, _: object) -> T:
        if not isinstance(value, dict):
            raise ValueError(f"must be a table, not {shown(value)}")
        problems: list[tuple[str, str]] = []
        found = {key: _taken(hooks[key], value[key], key, problems) for key in value if key in hooks}
        problems += [(key, "is missing") for key in sorted(required - value.keys())]
        problems += [(key, "unknown key") for key in sorted(value.keys() - hooks.keys())]
        if problems:
            raise Wrong(problems)
        return kind(**found)

    return structure


def list_of(hook: Hook) -> Hook:
    """A hook for a list of what ``hook`` takes. It raises Wrong."""

    def structure(value: object, _: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {shown(value)}")
        problems: list[tuple[str, str]] = []
        found = tuple(_taken(hook, item, f"[{index}]", problems) for index, item in enumerate(value))
        if problems:
            raise Wrong(problems)
        return found

    return structure


def _taken(hook: Hook, value: object, key: str, problems: list[tuple[str, str]]) -> Any:
    try:
        return hook(value, None)
    except Wrong as wrong:
        problems += [(key + ("" if inner.startswith("[") else ".") + inner, text) for inner, text in wrong.problems]
    except ValueError as error:
        problems.append((key, str(error)))
    return None
