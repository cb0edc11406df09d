"""`mesh-sync import wg-gen-web`: its data directory as the tool keeps it (storage/file.go, core/client.go, model/).

A client's file is called by its UUID, without a suffix, and holds the fields of model/client.go.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.wireguard import keys
from unit.imported import DATA, networks, notes, peers


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    return tmp_path / "mesh"


def test_wg_gen_web(mesh: Path) -> None:
    ended = mesh_sync("import", "wg-gen-web", DATA / "web", mesh)
    found = peers(mesh)
    assert networks(mesh) == ["10.6.6.0/24", "fd42:6::/64"]
    assert found["server"]["endpoint"] == "vpn.example.com:51821"
    assert set(found["server"]["subnets"]) == {"192.168.7.0/24", "0.0.0.0/0", "::/0"}
    assert [name for name, peer in found.items() if peer.get("exit") == "server"] == ["bob"]
    phone = found["alice-s-phone"]
    assert (phone["via"], phone["managed"], phone["tags"]) == ("server", False, ["phone"])
    assert (phone["owner"], phone["persistent_keepalive"], phone["mtu"]) == ("alice@example.com", 16, 1412)
    assert found["bob"]["persistent_keepalive"] == 0
    assert found["old-tablet"]["enabled"] is False
    clients = ("alice-s-phone", "bob", "old-tablet")
    assert [found[name]["dns"] for name in clients] == [["10.6.6.1"]] * 3, "the server's, in each client's config"
    assert "dns" not in found["server"]
    assert [found[name].get("export_routes") for name in clients] == [
        ["10.6.6.0/24", "192.168.7.0/24"], None, ["10.6.6.0/24"]
    ], "what a client does not send the server is IPv6 or a network; bob sends everything"  # fmt: skip
    said = "\n".join(notes(ended))
    assert "server: PostUp is not imported" in said
    assert "PreUp" not in said, "an echo is nothing to lose"
    assert "DNS is not imported" not in said
    config = mesh_sync("export", "alice-s-phone", "-C", mesh).fine()
    assert "DNS = 10.6.6.1\n" in config
    assert "AllowedIPs = 10.6.6.0/24, 192.168.7.0/24\n" in config
    bob_s = mesh_sync("export", "bob", "-C", mesh).fine()
    assert "0.0.0.0/0" in bob_s
    assert "::/0" in bob_s


def test_what_cannot_be_read_is_said_and_the_rest_taken_over(mesh: Path, tmp_path: Path) -> None:
    web = tmp_path / "web"
    shutil.copytree(DATA / "web", web)
    broken, listed, odd = ("f5fcc1e7-e03a-48bb-acd9-8d5214c6cb1" + digit for digit in "123")
    (web / broken).write_text("{")
    (web / listed).write_text("[]")
    (web / odd).write_text(json.dumps({"name": 7, "address": ["x"], "publicKey": None, "allowedIPs": "y"}))
    (web / "wg0.conf").write_text("# what it generates\n")
    (web / "backup.json").write_text("{}")
    (web / odd.replace("f5", "a5")).symlink_to("nowhere")
    said = "\n".join(notes(mesh_sync("import", "wg-gen-web", web, mesh)))
    for part in (
        f"{broken}: left out",
        f"{listed}: left out",
        "7: address: 'x'",
        f"{odd} has no usable publicKey",
        f"{odd.replace('f5', 'a5')}: left out, it is not a file",
        "backup.json: left out, a client's file is called by a UUID",
    ):
        assert part in said
    assert len(peers(mesh)) == 4


def test_a_client_of_wg_gen_web_with_networks_is_a_peer_with_subnets(mesh: Path, tmp_path: Path) -> None:
    """A site's `address` names its LAN beside its address in the tunnel: the server's AllowedIPs are made of both."""
    web = tmp_path / "web"
    shutil.copytree(DATA / "web", web)
    phone = web / "ff05d279-06ec-598d-82aa-0ee7087f70f3"
    azure = {
        **json.loads(phone.read_text()),
        "id": "f5fcc1e7-e03a-48bb-acd9-8d5214c6cb1f",
        "name": "Azure",
        "allowedIPs": ["10.6.6.1/32", "192.168.10.0/24", "10.0.0.0/8"],
        "address": ["10.6.6.5/32", "192.168.20.0/24", "192.168.21.9/24"],
        "publicKey": keys.public_key(keys.generate()),
    }
    (web / azure["id"]).write_text(json.dumps(azure, indent=2))
    bob = web / "ef45d397-0411-5f5e-8940-9bdbdef3958b"
    bob.write_text(json.dumps({**json.loads(bob.read_text()), "allowedIPs": ["10.6.6.0/24", "192.168.20.0/24"]}))
    ended = mesh_sync("import", "wg-gen-web", web, mesh)
    found = peers(mesh)
    assert found["azure"]["addresses"] == ["10.6.6.5"]
    assert found["azure"]["subnets"] == ["192.168.20.0/24", "192.168.21.0/24"]
    assert found["azure"]["export_routes"] == ["10.6.6.1/32", "192.168.10.0/24", "10.0.0.0/8"], "as it is"
    assert found["bob"]["export_routes"] == ["10.6.6.0/24", "192.168.20.0/24"]
    assert set(found["server"]["subnets"]) == {"192.168.7.0/24", "192.168.10.0/24"}, "no network of a client's"
    assert any("server: 10.0.0.0/8 lies around the mesh's own 10.6.6.0/24: left out" in note for note in notes(ended))


def client(web: Path, uuid: str, **changes: object) -> None:
    """Change what the tool has stored of a client."""
    file = web / uuid
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_a_client_gets_is_a_key_only_where_it_differs(mesh: Path, tmp_path: Path) -> None:
    """All of the mesh however it is written is no key; one IP version of an exit is; its own network is left out."""
    web = tmp_path / "web"
    shutil.copytree(DATA / "web", web)
    tablet, bob, phone = sorted(file.name for file in web.iterdir() if file.suffix != ".json")
    everything = ["10.6.6.0/25", "10.6.6.128/25", "fd42:6::/64", "192.168.7.0/24", "192.168.30.0/24"]
    client(web, tablet, address=["10.6.6.4/32", "192.168.30.0/24"], allowedIPs=everything)
    client(web, bob, allowedIPs=["0.0.0.0/0"])
    client(web, phone, allowedIPs=["0.0.0.0/1", "128.0.0.0/1", "::/0"])
    server = web / "server.json"
    names = ["10.6.6.1", "Home.example", "not a name", "10.6.6.1"]
    server.write_text(json.dumps({**json.loads(server.read_text()), "dns": names}))
    said = notes(mesh_sync("import", "wg-gen-web", web, mesh))
    found = peers(mesh)
    assert found["bob"]["export_routes"] == ["0.0.0.0/0"]
    assert [found[name].get("export_routes") for name in ("alice-s-phone", "old-tablet")] == [None, None]
    assert found["bob"]["dns"] == ["10.6.6.1", "home.example"]
    assert "old-tablet: 192.168.30.0/24 in allowedIPs is its own network: left out" in said
    assert "server: dns: left out: 'not a name' is neither an IP address nor a domain in lower case" in said


def test_domains_without_a_nameserver_are_said(mesh: Path, tmp_path: Path) -> None:
    web = tmp_path / "web"
    shutil.copytree(DATA / "web", web)
    server = web / "server.json"
    server.write_text(json.dumps({**json.loads(server.read_text()), "dns": ["home.example"]}))
    said = notes(mesh_sync("import", "wg-gen-web", web, mesh))
    assert "server: dns: left out: home.example alone is no nameserver" in said
    assert "dns" not in peers(mesh)["bob"]
