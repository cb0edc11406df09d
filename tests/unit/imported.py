"""What `mesh-sync import` made of a source: the files of the mesh, and what it said."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from command import Ended

DATA = Path(__file__).parent / "data/import"


def peers(mesh: Path) -> dict[str, dict[str, Any]]:
    return {file.stem: tomllib.loads(file.read_text()) for file in (mesh / "peers").glob("*.toml")}


def networks(mesh: Path) -> object:
    return tomllib.loads((mesh / "mesh.toml").read_text())["networks"]


def notes(ended: Ended) -> list[str]:
    return [line.removeprefix("  ! ") for line in ended.fine().splitlines() if line.startswith("  ! ")]
