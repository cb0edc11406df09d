"""Lists that are wrong, and what `mesh-sync check` says of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from mesh_sync.check.examine import examine
from mesh_sync.cli.main import cli
from mesh_sync.mesh.tree import Tree
from mesh_sync.wireguard import keys

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
Files = Mapping[str, str | bytes]

PRIVATE = keys.generate()
LEAKED = "contains a private key; remove it and make a new one, this one is compromised"
LABEL = "is not a lower-case DNS label (a-z, 0-9, -, at most 63)"


def key(number: int) -> str:
    return base64.b64encode(bytes([number] * 32)).decode()


def peer(number: int, *lines: str, **changed: str | None) -> str:
    """The file of a peer that is fine but for what is changed; values are TOML, None leaves the key out."""
    values: dict[str, str | None] = {
        "public_key": f'"{key(number)}"',
        "addresses": f'["10.0.0.{number}"]',
        "endpoint": f'"203.0.113.{number}:51820"',
        **changed,
    }
    return "".join(f"{name} = {value}\n" for name, value in values.items() if value is not None) + "\n".join(lines)


MESH = 'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n'
GOOD: Files = {"mesh.toml": MESH, "peers/a.toml": peer(1), "peers/b.toml": peer(2)}


def check(folder: Path, files: Files) -> list[str]:
    """What `mesh-sync check` prints for these files; its exit code has to be the one for errors."""
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = CliRunner().invoke(cli, ["check", str(folder)], standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 1
    return done.stdout.splitlines()


def findings(files: Files) -> list[str]:
    """The same for names that no file system may hold."""
    texts = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    return [str(finding) for finding in examine(Tree(texts), MOMENT)[1]]
