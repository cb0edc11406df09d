"""The text of mesh.toml and of a peer's file, made and edited so that a person's comments and layout stay. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import attrs
import tomlkit
from tomlkit.items import Array

from mesh_sync.errors import MeshSyncError
from mesh_sync.mesh.model import Peer, Preshared

Value = str | int | bool | date | Sequence[str]
KEYS = tuple(attribute.name for attribute in attrs.fields(Peer) if attribute.name != "name")
"""The keys of a peer's file, in the order in which they are written."""
_ONE_OR_MORE = ("endpoint", "nat_subnet")
"""Keys with a list as their value, or the one item of it."""


def made(values: Mapping[str, Value]) -> str:
    """A new file with these keys."""
    return edited("", {key: values[key] for key in KEYS if key in values})


def edited(text: str, values: Mapping[str, Value], unset: Iterable[str] = ()) -> str:
    """Given the text of a file, return it with ``values`` set and ``unset`` taken out; the rest stays as it is.

    Raise MeshSyncError when the text is not TOML.
    """
    try:
        document = tomlkit.parse(text)
    except (tomlkit.exceptions.TOMLKitError, RecursionError) as error:
        raise MeshSyncError(f"is not valid TOML: {error}", hint="correct it in an editor first") from None
    for key in unset:
        document.pop(key, None)
    for key, value in values.items():
        present = document.get(key)
        if isinstance(present, Array) and not isinstance(value, str | int | date):
            _edit_list(present, list(value))
        elif not isinstance(value, str | int | date) and key in _ONE_OR_MORE and len(value) == 1:
            document[key] = value[0]
        elif present != value:
            document[key] = value if isinstance(value, str | int | date) else list(value)
    return tomlkit.dumps(document)


def _edit_list(array: Array, wanted: list[str]) -> None:
    """Change only the items that differ, so that the comments beside the others stay."""
    kept = [item for item in array.unwrap() if item in wanted]
    if wanted[: len(kept)] != kept:
        array.clear()
        array.extend(wanted)
        return
    for index in reversed(range(len(array))):
        if array[index] not in wanted:
            del array[index]
    array.extend(wanted[len(kept) :])


def with_preshared(text: str, use: Preshared | None) -> str:
    """Given mesh.toml, return it with this `[preshared]`, or with none. The text has to be valid TOML."""
    document = tomlkit.parse(text)
    document["preshared_keys"] = "derived" if use else "none"
    if use is None:
        document.pop("preshared", None)
        return tomlkit.dumps(document)
    values = {"secret": use.secret, "former": use.former, "since": use.since}
    table = document.setdefault("preshared", tomlkit.table())
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return tomlkit.dumps(document)
