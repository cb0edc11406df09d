"""Meshes of any size: as a mesh repository, and as the database of wg-meshconf."""

from __future__ import annotations

import base64
import csv
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mesh_sync.wireguard.keys import public_key

IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0")
COLUMNS = (
    "Name", "Address", "Endpoint", "AllowedIPs", "ListenPort", "PersistentKeepalive", "FwMark", "PrivateKey", "DNS",
    "MTU", "Table", "PreUp", "PostUp", "PreDown", "PostDown", "SaveConfig",
)  # fmt: skip
NETWORK = "10.0.0.0/9"
"""Of the peers; the networks behind them are in the other half, private however many there are."""


@dataclass(frozen=True)
class Member:
    """One peer: a node with an endpoint and a network behind it."""

    number: int
    private_key: str

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def address(self) -> str:
        return f"10.0.{self.number // 250}.{self.number % 250 + 1}"

    @property
    def subnet(self) -> str:
        return f"10.{128 + self.number // 250}.{self.number % 250}.0/24"

    @property
    def host(self) -> str:
        return f"{self.name}.example.org"

    @property
    def toml(self) -> str:
        return (
            f'public_key = "{public_key(self.private_key)}"\naddresses = ["{self.address}"]\n'
            f'endpoint = "{self.host}:51820"\nsubnets = ["{self.subnet}"]\n'
        )


def members(count: int) -> Iterator[Member]:
    """The same peers each time."""
    source = random.Random(count)
    for number in range(count):
        yield Member(number, base64.b64encode(source.randbytes(32)).decode())


def repository(count: int, place: Path) -> tuple[Path, str]:
    """Make the working copy ``place``/mesh and the bare ``place``/mesh.git; return the latter and its head."""
    work, bare = place / "mesh", place / "mesh.git"
    (work / "peers").mkdir(parents=True)
    (work / "mesh.toml").write_text(f'format = 1\nname = "bench"\nnetworks = ["{NETWORK}"]\n')
    for member in members(count):
        (work / f"peers/{member.name}.toml").write_text(member.toml)
    for argv in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["commit", "-q", "-m", "all"],
        ["clone", "-q", "--bare", ".", str(bare)],
    ):
        subprocess.run(["git", *IDENTITY, *argv], cwd=work, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=work, check=True, stdout=subprocess.PIPE, text=True)
    return bare, head.stdout.strip()


def database(count: int, file: Path) -> None:
    """Write what `wg-meshconf addpeer` would have, one peer at a time."""
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        for member in members(count):
            writer.writerow(
                {
                    "Name": member.name,
                    "Address": f"{member.address}/32",
                    "Endpoint": member.host,
                    "AllowedIPs": member.subnet,
                    "ListenPort": "51820",
                    "PrivateKey": member.private_key,
                }
            )
