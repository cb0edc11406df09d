"""`mesh-sync export`: the config of a peer that does not run mesh-sync, as wg-quick text or as a QR code."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.render import PLACEHOLDER
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.output import write_output
from mesh_sync.workspace.preview import raise_if_inside, render_one, render_peer

if TYPE_CHECKING:
    import segno

TEXT_SUFFIXES = (".conf", ".txt")
IMAGE_SUFFIXES = (".svg", ".png")
TUNNEL = re.compile(r"[a-zA-Z0-9_=+.-]{1,15}")
"""The name of an interface, as wg-quick and the apps of WireGuard take it."""
SCALE = 6
"""Pixels of a PNG, or units of an SVG, for each module of the code."""


def text(directory: Path, name: str, private_key_file: Path | None, secret_file: Path | None = None) -> str:
    """The wg-quick text of one peer. Raise MeshSyncError when the list has errors or does not have the peer."""
    return complete(render_one(directory, name, private_key_file, secret_file))


def complete(config: str) -> str:
    """The same config. Raise ConfigError when it lacks preshared keys."""
    if PLACEHOLDER in config:
        text = "the mesh uses preshared keys, and without its secret this config would not connect"
        raise ConfigError(text, hint="give --secret-file F; `mesh-sync secret show -o F` gets one from a node")
    return config


def text_of(committed: Committed, name: str, private_key: str | None) -> str:
    """The same of a list that is not in the working tree, with the key itself."""
    return complete(render_peer(committed.tree, "this list", name, private_key))


def addresses(config: str) -> list[str]:
    """The endpoints in a config that are addresses, and no names that can lead elsewhere one day."""
    return [endpoint for endpoint in endpoints(config) if Endpoint.parse(endpoint).address is not None]


def endpoints(config: str) -> list[str]:
    """The endpoints in a config."""
    return [line.partition(" = ")[2] for line in config.splitlines() if line.startswith("Endpoint = ")]


def names_no_tunnel(file: Path) -> bool:
    """Whether wg-quick and the apps, which name a tunnel after its file, would not take this one."""
    return file.suffix.lower() == ".conf" and not TUNNEL.fullmatch(file.stem)


def code(config: str) -> segno.QRCode:
    """The QR code of a config, without its comments. Raise MeshSyncError when it holds more than a code can."""
    import segno  # 140 ms of processor time, and few exports are pictures

    bare = "\n".join(line for line in config.splitlines() if line and not line.startswith("#")) + "\n"
    try:
        return segno.make_qr(bare, error="L", boost_error=False)
    except segno.DataOverflowError:
        text = f"the config is {len(bare):,} bytes long, more than a QR code holds (2,953)"
        hint = "give the peer a relay (`mesh-sync peer set N --via PEER`), or write it with -o FILE.conf"
        raise MeshSyncError(text, hint=hint) from None


def draw(qr: segno.QRCode) -> str:
    """The code drawn in half blocks, light on dark, two rows a line."""
    out = io.StringIO()
    qr.terminal(out, compact=True)
    return out.getvalue()


def check_output(file: Path, directory: Path, with_key: bool) -> None:
    """Raise ConfigError for an unknown suffix, or a place where a secret must not be."""
    if with_key:
        raise_if_inside(file, directory)
    if file.suffix.lower() not in TEXT_SUFFIXES + IMAGE_SUFFIXES:
        known = ", ".join(TEXT_SUFFIXES + IMAGE_SUFFIXES)
        raise ConfigError(f"-o {file}: the name must end in one of {known}")


def write(file: Path, config: str) -> None:
    """Write the config to ``file``, 0600, in the form that its suffix says."""
    kind = file.suffix.lower()
    if kind in TEXT_SUFFIXES:
        write_output(file, config)
        return
    out = io.BytesIO()
    code(config).save(out, kind=kind.removeprefix("."), scale=SCALE)
    write_output(file, out.getvalue())
