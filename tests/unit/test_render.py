"""The mesh of the README to the interface of a node and to the text of its wg0.conf."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mesh_sync.check.examine import examine
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.table import table
from mesh_sync.wireguard import conf, keys
from mesh_sync.wireguard.desired import Desired

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AWS_CONF = """\
# aws in the mesh cloud. Written by mesh-sync: change the mesh repository, not this file.
[Interface]
PrivateKey = PRIVATE_KEY_OF_THIS_NODE
Address = 10.0.0.1/32
ListenPort = 51820

# azure
[Peer]
PublicKey = {azure}
AllowedIPs = 10.0.0.2/32, 192.168.20.0/24
Endpoint = azure.com:51820
PersistentKeepalive = 25

# gcp
[Peer]
PublicKey = {gcp}
AllowedIPs = 10.0.0.3/32, 10.96.0.0/12, 10.244.0.0/16, 192.168.30.0/24, fd00::3/128
PersistentKeepalive = 25
"""


def mesh_files(**more: str) -> tuple[dict[str, bytes], dict[str, str]]:
    public = {name: keys.public_key(keys.generate()) for name in ("aws", "azure", "gcp")}
    files = {
        "mesh.toml": 'format = 1\nname = "cloud"\nnetworks = ["10.0.0.0/24", "fd00::/64"]\n',
        "peers/aws.toml": 'addresses = ["10.0.0.1"]\nendpoint = "aws.com:51820"\n',
        "peers/azure.toml": 'addresses = ["10.0.0.2"]\nendpoint = ["azure.com:51820", "203.0.113.2:1"]\n'
        'subnets = ["192.168.20.0/24"]\n',
        "peers/gcp.toml": 'addresses = ["10.0.0.3", "fd00::3"]\n'
        'subnets = ["192.168.30.0/24", "10.244.0.0/16", "10.96.0.0/12"]\n',
    }
    for name, key in public.items():
        files[f"peers/{name}.toml"] += f'public_key = "{key}"\n'
    for name, text in more.items():
        files[f"peers/{name}.toml"] += text
    return {path: text.encode() for path, text in files.items()}, public


def renderer(**more: str) -> tuple[Renderer, dict[str, str]]:
    files, public = mesh_files(**more)
    mesh, findings = examine(Tree(files), NOW)
    assert mesh is not None
    assert findings == ()
    return Renderer(mesh, NOW), public


def test_a_node_gets_one_section_for_every_other_peer() -> None:
    found, public = renderer()
    assert conf.text(found.desired("aws")) == AWS_CONF.format(**public)


def test_the_same_mesh_gives_the_same_bytes() -> None:
    files, _ = mesh_files()
    backwards = dict(reversed(files.items()))
    texts = set()
    for order in (files, backwards):
        mesh, _ = examine(Tree(order), NOW)
        assert mesh
        texts.add(conf.text(Renderer(mesh, NOW).desired("gcp")))
    assert len(texts) == 1


def test_wg_quick_understands_the_text(tmp_path: Path) -> None:
    found, _ = renderer()
    file = tmp_path / "wg0.conf"
    file.write_text(conf.text(found.desired("aws"), keys.generate()))
    file.chmod(0o600)
    stripped = subprocess.run(["wg-quick", "strip", file], capture_output=True, text=True, check=True, timeout=10)
    assert stripped.stdout.count("[Peer]") == 2


def test_routes_are_the_meshs_networks_and_the_subnets_of_others() -> None:
    found, _ = renderer()
    assert found.desired("azure").routes == {
        "10.0.0.0/24",
        "fd00::/64",
        "192.168.30.0/24",
        "10.244.0.0/16",
        "10.96.0.0/12",
    }
    assert found.desired("gcp").routes == {"10.0.0.0/24", "fd00::/64", "192.168.20.0/24"}


@pytest.mark.parametrize(
    ("azure", "keepalive"),
    [("", 25), ("persistent_keepalive = 7\n", 7), ("persistent_keepalive = 0\n", 0)],
)
def test_a_nodes_keepalive_is_its_own(azure: str, keepalive: int) -> None:
    found, _ = renderer(azure=azure)
    assert {peer.keepalive for peer in found.desired("azure").peers} == {keepalive}
    assert {peer.keepalive for peer in found.desired("aws").peers} == {25}


def test_a_node_with_literal_endpoints_only_needs_no_keepalive() -> None:
    files, _ = mesh_files()
    files["peers/aws.toml"] = files["peers/aws.toml"].replace(b"aws.com:51820", b"203.0.113.1:51820")
    mesh, _ = examine(Tree(files), NOW)
    assert mesh
    assert {peer.keepalive for peer in Renderer(mesh, NOW).desired("aws").peers} == {0}


def test_an_exit_marks_its_users_and_not_itself() -> None:
    found, _ = renderer(aws='subnets = ["0.0.0.0/0", "::/0"]\n', azure='exit = "aws"\n')
    assert {name: found.desired(name).fwmark for name in found.names} == {"aws": 0, "azure": 51820, "gcp": 0}
    assert found.desired("azure").exit_routes == {"0.0.0.0/0", "::/0"}
    assert not {"0.0.0.0/0", "::/0"} & found.desired("azure").routes
    for name in ("azure", "gcp"):
        aws = next(peer for peer in found.desired(name).peers if peer.name == "aws")
        assert ("0.0.0.0/0" in aws.allowed_ips) == (name == "azure")


def test_the_next_expiry_is_remembered() -> None:
    found, _ = renderer(gcp="expires = 2026-07-01\n", azure="expires = 2026-06-30\n")
    desired = found.desired("aws")
    assert desired.valid_until == datetime(2026, 7, 1, tzinfo=UTC).timestamp()
    assert not desired.is_due(desired.valid_until - 1)
    assert desired.is_due(desired.valid_until)


def test_a_desired_interface_survives_as_json() -> None:
    exit_ = {"aws": 'subnets = ["0.0.0.0/0", "::/0"]\n', "azure": 'exit = "aws"\n'}
    found, _ = renderer(**exit_, gcp="expires = 2026-07-01\n")
    desired = found.desired("azure")
    assert table(Desired)(json.loads(as_json(desired))) == desired
