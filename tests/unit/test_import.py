"""`mesh-sync import`: set-ups of other tools become a mesh that passes the check, and private keys stay out of it.

`data/import/wg-meshconf*` is what wg-meshconf 2.5.1 wrote; `hub` and `web` are written after wg-quick(8) and after
what wg-gen-web stores. Their keys were made for these tests.
"""

from __future__ import annotations

import csv
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.wireguard import keys
from mesh_sync.workspace.import_ import wg_conf
from unit.imported import DATA, networks, notes, peers

SOURCES = [
    ("wg-meshconf", DATA / "wg-meshconf.csv"),
    ("wg-quick", DATA / "wg-meshconf"),
    ("wg-quick", DATA / "hub"),
    ("wg-gen-web", DATA / "web"),
]
every_source = pytest.mark.parametrize(("source", "path"), SOURCES, ids=[f"{a}-{b.name}" for a, b in SOURCES])


@pytest.fixture(autouse=True)
def no_settings_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    return tmp_path / "mesh"


def secrets(path: Path) -> set[str]:
    """Every private and preshared key of a source."""
    if path.suffix == ".csv":
        return {row["PrivateKey"] for row in csv.DictReader(path.read_text().splitlines())}
    found = set()
    for file in path.iterdir():
        for line in file.read_text().splitlines():
            words = line.replace('"', " ").replace(",", " ").split()
            if words and words[0].rstrip("=:").lower().startswith(("privatekey", "presharedkey")):
                found.add(words[-1].removeprefix("PrivateKey=").removeprefix("PresharedKey="))
    return found


@every_source
def test_what_is_imported_passes_the_check_and_holds_no_secret(source: str, path: Path, mesh: Path) -> None:
    assert len(secrets(path)) > 2
    mesh_sync("import", source, path, mesh).fine()
    assert "no errors" in mesh_sync("check", mesh).err
    everything = b"".join(file.read_bytes() for file in mesh.rglob("*") if file.is_file())
    assert [key for key in secrets(path) if key.encode() in everything] == []


@every_source
def test_private_keys_go_into_files_of_their_own_when_asked_for(source: str, path: Path, mesh: Path) -> None:
    folder = mesh.parent / "keys"
    mesh_sync("import", source, path, mesh, "--keys", folder).fine()
    files = list(folder.iterdir())
    assert len(files) >= 3
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert keys.public_key(file.read_text().strip()) == peers(mesh)[file.stem]["public_key"]


@every_source
def test_importing_again_changes_nothing_but_can_still_fetch_the_keys(source: str, path: Path, mesh: Path) -> None:
    assert "left out; --keys" in mesh_sync("import", source, path, mesh).fine()
    before = peers(mesh)
    again = mesh_sync("import", source, path, mesh, "--keys", mesh.parent / "keys")
    assert "imported 0 peers" in again.fine()
    assert f"see what is not committed: git -C {mesh} status" in again.out
    assert peers(mesh) == before
    assert len(list((mesh.parent / "keys").iterdir())) >= 3


def test_keys_are_not_put_into_the_repository_nor_over_other_keys(mesh: Path) -> None:
    ended = mesh_sync("import", "wg-meshconf", DATA / "wg-meshconf.csv", mesh, "--keys", mesh / "keys")
    assert ended.code == 2
    assert not mesh.exists()
    folder = mesh.parent / "keys"
    folder.mkdir()
    (folder / "tokyo.key").write_text("another")
    ended = mesh_sync("import", "wg-meshconf", DATA / "wg-meshconf.csv", mesh, "--keys", folder)
    assert ended.code == 2
    assert [file.name for file in folder.iterdir()] == ["tokyo.key"]
    assert not mesh.exists()


def test_wg_meshconf_database(mesh: Path) -> None:
    ended = mesh_sync("import", "wg-meshconf", DATA / "wg-meshconf.csv", mesh)
    found = peers(mesh)
    assert networks(mesh) == ["10.1.0.0/24", "fd00:1::/64"]
    assert found["home-nas"] == {
        "public_key": "3xkJ4C4Y1sj7jxYEPW3Uv1l3rQf2PTsUsfK9mAbQEAg=",
        "addresses": ["10.1.0.2", "fd00:1::2"],
        "endpoint": "home.example.net:51821",
        "subnets": ["192.168.10.0/24", "192.168.11.0/24"],
        "listen_port": 51821,
        "mtu": 1400,
    }
    assert found["tokyo"]["endpoint"] == "[2001:db8::4]:51820"
    assert set(found["laptop"]) == {"public_key", "addresses"}
    assert notes(ended) == [
        "home-nas: was called 'Home NAS'; names are unique DNS labels",
        "home-nas: DNS is not imported: mesh-sync sets no resolver",
        "home-nas: PostDown is not imported: the list holds no commands",
        "home-nas: PostUp is not imported: the list holds no commands",
        "home-nas: the others sent it keepalives every 25 s; now it sends them itself",
        "laptop: FwMark is not imported: mesh-sync chooses the mark itself",
        "laptop: SaveConfig is not imported: mesh-sync writes the file itself",
        "laptop: Table is not imported: mesh-sync manages the routes itself",
        "networks: 10.1.0.0/24 instead of 10.1.0.0/16, because 10.1.9.0/24 lies behind a peer",
    ]


def test_its_generated_files_give_the_same_mesh(mesh: Path, tmp_path: Path) -> None:
    mesh_sync("import", "wg-meshconf", DATA / "wg-meshconf.csv", tmp_path / "database").fine()
    mesh_sync("import", "wg-quick", DATA / "wg-meshconf", mesh).fine()
    found = peers(mesh)
    assert found["tokyo"].pop("persistent_keepalive") == 25, "that file said so"
    assert found == peers(tmp_path / "database")
    assert networks(mesh) == networks(tmp_path / "database")


def test_a_hub_and_its_spokes(mesh: Path) -> None:
    ended = mesh_sync("import", "wg-quick", DATA / "hub", mesh)
    found = peers(mesh)
    assert set(found) == {"hub-berlin", "office", "laptop", "alice-phone", "bob"}
    assert found["hub-berlin"]["endpoint"] == ["hub.example.org:51820", "198.51.100.7:51820"]
    assert found["hub-berlin"]["subnets"] == ["0.0.0.0/0", "::/0", "10.20.0.0/16"], (
        "what only a spoke knew; not the mesh"
    )
    assert {name for name, peer in found.items() if peer.get("exit")} == {"laptop"}, "only it sent everything there"
    assert found["office"]["subnets"] == ["192.168.40.0/24"]
    assert found["office"]["mtu"] == 1380
    assert {name: (peer.get("via"), peer.get("managed", True)) for name, peer in found.items()} == {
        "hub-berlin": (None, True),
        "office": (None, True),
        "laptop": ("hub-berlin", True),
        "alice-phone": ("hub-berlin", False),
        "bob": ("hub-berlin", False),
    }
    assert any("PresharedKey of alice-phone is not imported" in note for note in notes(ended))
    command = "mesh-sync peer set laptop --unmanaged --dns 10.8.0.1"
    assert f"laptop: is imported as a node; if it does not run mesh-sync, `{command}` keeps these" in notes(ended)
    mesh_sync(*command.split()[1:], "-C", mesh).fine()
    exported = mesh_sync("export", "laptop", "-C", mesh).fine()
    assert "DNS = 10.8.0.1\n" in exported
    assert "0.0.0.0/0" in exported


def test_a_single_file_of_a_server(mesh: Path) -> None:
    ended = mesh_sync("import", "wg-quick", DATA / "hub/wg0.conf", mesh)
    assert set(peers(mesh)) == {"hub-berlin", "office", "alice-phone", "bob"}
    assert "neither bob nor its relay hub-berlin has an endpoint" in ended.err


def test_an_exit_of_all_is_taken_over(mesh: Path, tmp_path: Path) -> None:
    hub, spoke = keys.generate(), keys.generate()
    (tmp_path / "confs").mkdir()
    (tmp_path / "confs/hub.conf").write_text(
        f"[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = {hub}\n[Peer]\nPublicKey = {keys.public_key(spoke)}\n"
        "AllowedIPs = 10.0.0.2\n"
    )
    (tmp_path / "confs/me.conf").write_text(
        f"[Interface]\nAddress = 10.0.0.2/24\nPrivateKey = {spoke}\n[Peer]\nPublicKey = {keys.public_key(hub)}\n"
        "AllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.1:51820\n"
    )
    mesh_sync("import", "wg-quick", tmp_path / "confs", mesh).fine()
    found = peers(mesh)
    assert found["hub"]["subnets"] == ["0.0.0.0/0"]
    assert (found["hub"].get("exit"), found["me"]["exit"]) == (None, "hub")


@pytest.mark.parametrize(
    "pieces", ["0.0.0.0/1, 128.0.0.0/1", "0.0.0.0/5, 8.0.0.0/7, 11.0.0.0/8, 12.0.0.0/6, 16.0.0.0/4, 32.0.0.0/3, "
               "64.0.0.0/2, 128.0.0.0/2, 192.0.0.0/9, 10.128.0.0/9, 10.64.0.0/10"],
)  # fmt: skip
def test_a_default_route_in_pieces_is_an_exit_too(mesh: Path, tmp_path: Path, pieces: str) -> None:
    hub, spoke, other = keys.generate(), keys.generate(), keys.generate()
    (tmp_path / "confs").mkdir()
    sections = "".join(
        f"[Peer]\nPublicKey = {keys.public_key(key)}\nAllowedIPs = 10.0.0.{number}/32\n"
        for number, key in ((2, spoke), (3, other))
    )
    head = "[Interface]\nAddress = 10.0.0.{}/24\nPrivateKey = {}\n"
    to_hub = f"[Peer]\nPublicKey = {keys.public_key(hub)}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 10.0.0.0/24"
    (tmp_path / "confs/hub.conf").write_text(head.format(1, hub) + sections)
    (tmp_path / "confs/me.conf").write_text(f"{head.format(2, spoke)}{to_hub}, {pieces}\n")
    (tmp_path / "confs/other.conf").write_text(f"{head.format(3, other)}{to_hub}\n")
    mesh_sync("import", "wg-quick", tmp_path / "confs", mesh).fine()
    found = peers(mesh)
    assert found["hub"]["subnets"] == pieces.split(", ")
    assert {name: peer.get("exit") for name, peer in found.items()} == {"hub": None, "me": "hub", "other": None}
    assert networks(mesh) == ["10.0.0.0/24"]


def test_wg_quick_itself_reads_what_comes_of_a_file(mesh: Path, tmp_path: Path) -> None:
    """There and back: the node's rendered file names the same peers as the one it was imported from."""
    mesh_sync("import", "wg-quick", DATA / "wg-meshconf", mesh, "--keys", tmp_path / "keys").fine()
    text = mesh_sync("render", mesh, "--node", "aws", "--private-key-file", tmp_path / "keys/aws.key").fine()
    (tmp_path / "wg0.conf").write_text(text)
    (tmp_path / "wg0.conf").chmod(0o600)
    if shutil.which("wg-quick"):
        stripped = subprocess.run(["wg-quick", "strip", tmp_path / "wg0.conf"], capture_output=True, text=True)
        assert stripped.returncode == 0, stripped.stderr
    before = wg_conf.parse((DATA / "wg-meshconf/aws.conf").read_text())
    after = wg_conf.parse(text)
    assert after.interface.one("PrivateKey") == before.interface.one("PrivateKey")
    assert {one.one("PublicKey") for one in after.peers} == {one.one("PublicKey") for one in before.peers}


def test_odd_rows_of_a_database(mesh: Path, tmp_path: Path) -> None:
    file = tmp_path / "database.csv"
    key = keys.generate()
    file.write_text(
        "Name,Address,PrivateKey,Endpoint,ListenPort,MTU,AllowedIPs,New\n"
        f"one,10.0.0.1/24,{key},two words,51820,big,x,\n"
        "two,10.0.0.2/24,nokey,,,,,\n"
        f"three,,{keys.generate()},,,,,\n"
        f"one,10.0.0.4/24,{keys.generate()},192.0.2.1,,,10.0.0.9/32,\n"
    )
    ended = mesh_sync("import", "wg-meshconf", file, mesh)
    assert ended.code == 1
    assert "error: peers/one.toml: endpoint 'two words:51820': 'two words' is not a host name" in ended.err
    said = ended.out
    for part in (
        "MTU: 'big'",
        "AllowedIPs: 'x'",
        "two: left out",
        "three: left out",
        "one-2: was called",
    ):
        assert part in said
    assert peers(mesh)["one-2"]["addresses"] == ["10.0.0.4", "10.0.0.9"]
    assert set(peers(mesh)["one"]) == {"public_key", "addresses"}


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("wg-meshconf", "x.csv", ""),
        ("wg-meshconf", "x.csv", "a,b\n1,2\n"),
        ("wg-meshconf", "x.csv", "\x00\n"),
        ("wg-quick", "x.conf", ""),
        ("wg-quick", "x.conf", "[Interface]\nPrivateKey = x\n[Peer]\nPublicKey = y\n"),
        ("wg-gen-web", "server.json", "{}"),
        ("wg-gen-web", "server.json", "[" * 100_000),
    ],
)
def test_a_source_that_is_none_is_a_sentence(source: str, name: str, text: str, mesh: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    ended = mesh_sync("import", source, tmp_path / name, mesh)
    assert ended.code == 2
    assert name in ended.err
    assert not mesh.exists()


def test_errors_are_shown_and_nothing_is_made(mesh: Path) -> None:
    ended = mesh_sync("import", "wg-meshconf", DATA / "wg-meshconf.csv", mesh, "--network", "10.1.0.0/16")
    assert ended.code == 1
    assert "peers/aws.toml:subnets[0]: 10.1.9.0/24 overlaps the mesh's own network 10.1.0.0/16" in ended.err
    assert "--network" in ended.err
    assert not mesh.exists()


def test_a_mesh_that_is_there_grows(mesh: Path, tmp_path: Path) -> None:
    mesh_sync("init", mesh, "--network", "10.0.0.0/8", "--network", "fd00::/8").fine()
    mesh_sync("peer", "add", "mine", "--public-key", keys.public_key(keys.generate()), "-C", mesh).fine()
    ended = mesh_sync("import", "wg-gen-web", DATA / "web", mesh, "--commit")
    assert "committed" in ended.fine()
    assert set(peers(mesh)) == {"mine", "server", "alice-s-phone", "bob", "old-tablet"}
    subject = subprocess.run(["git", "-C", mesh, "log", "-1", "--format=%s"], capture_output=True, text=True).stdout
    assert subject == "mesh: imports 4 peers from wg-gen-web\n"


def test_a_name_that_another_peer_has_stops_it(mesh: Path) -> None:
    mesh_sync("init", mesh, "--network", "10.0.0.0/8", "--network", "fd00::/8").fine()
    mesh_sync("peer", "add", "server", "--public-key", keys.public_key(keys.generate()), "-C", mesh).fine()
    ended = mesh_sync("import", "wg-gen-web", DATA / "web", mesh)
    assert ended.code == 1
    assert "--name-map FILE gives the new one another name" in ended.err
    assert set(peers(mesh)) == {"server"}
    (mesh.parent / "names.toml").write_text('server = "hub"')
    mesh_sync("import", "wg-gen-web", DATA / "web", mesh, "--name-map", mesh.parent / "names.toml").fine()
    assert set(peers(mesh)) == {"server", "hub", "alice-s-phone", "bob", "old-tablet"}


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = mesh_sync("import", "wg-quick", DATA / "hub", tmp_path)
    assert ended.code == 2
    assert "neither empty nor a mesh repository" in ended.err
