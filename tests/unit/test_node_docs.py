"""docs/node.md names every key of node.toml, with its default, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from mesh_sync.node.config import Confirm, Dns, Gateway, Hooks, Nat, Node, Paths, Repository, Trust
from mesh_watchdog.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs/node.md").read_text()
TABLES = {
    "repository": Repository, "trust": Trust, "confirm": Confirm, "gateway": Gateway, "nat": Nat, "dns": Dns,
    "hooks": Hooks, "paths": Paths, "watchdog": Settings,
}  # fmt: skip
ROW = re.compile(r"(?m)^\| `(\w+)` \| (.+?) \|")


def declared(kind: type[attrs.AttrsInstance]) -> dict[str, str]:
    """The keys of a table and their defaults, as the page writes them."""
    return {field.name: written(field.default) for field in attrs.fields(kind) if field.name not in TABLES}


def written(default: Any) -> str:
    if default is attrs.NOTHING:
        return "required"
    if default is None or default == "":
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{'[]' if default == () else default}`"


@pytest.mark.parametrize("name", ["", *TABLES])
def test_every_key_is_there_with_its_default(name: str) -> None:
    part = PAGE.partition(f"`[{name}]`")[2] if name else PAGE
    part = part.partition("\n`[")[0]
    assert dict(ROW.findall(part)) == declared(TABLES.get(name, Node))
