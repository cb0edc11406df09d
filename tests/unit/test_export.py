"""`mesh-sync export`: what a phone gets is what the mesh says, and nobody else can read it."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest
import segno

from command import Ended, mesh_sync
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import keys

PLACEHOLDER = "PRIVATE_KEY_OF_THIS_NODE"


class Operator:
    """A mesh of three sites with a phone behind the first one."""

    def __init__(self, place: Path) -> None:
        self.mesh, self.key = place / "mesh", place / "phone.key"
        mesh_sync("init", self.mesh).fine()
        for number, name in enumerate(("aws", "azure", "gcp"), start=1):
            self.add(name, "--endpoint", f"203.0.113.{number}:51820")
        self.peer("add", "phone", "--new-key", self.key, "--unmanaged", "--via", "aws")

    def peer(self, *words: object) -> None:
        mesh_sync("peer", *words, "-C", self.mesh).fine()

    def add(self, name: str, *words: object) -> None:
        self.peer("add", name, "--public-key", keys.public_key(keys.generate()), *words)

    def export(self, *words: object, name: str = "phone") -> Ended:
        return mesh_sync("export", name, "-C", self.mesh, *words)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(tmp_path_factory.mktemp("export"))


def test_a_phone_behind_a_relay_has_one_tunnel(operator: Operator) -> None:
    text = operator.export().fine()
    assert text.count("[Peer]") == 1
    assert "Address = 10.0.0.4/32\n" in text
    assert "AllowedIPs = 10.0.0.0/24\n" in text
    assert "Endpoint = 203.0.113.1:51820\n" in text
    assert "PersistentKeepalive = 25\n" in text
    assert f"PrivateKey = {PLACEHOLDER}\n" in text


def test_what_a_phone_has_scanned_holds_when_a_peer_is_added_or_the_hub_moves(tmp_path: Path) -> None:
    operator = Operator(tmp_path)
    operator.peer("set", "aws", "--endpoint", "vpn.example.org:51820", "--subnet", "192.168.7.0/24")
    before = operator.export()
    assert "AllowedIPs = 10.0.0.0/24, 192.168.7.0/24\n" in before.fine()
    operator.add("later", "--endpoint", "203.0.113.9:51820")
    operator.peer("set", "aws", "--machine", "rack-b")
    assert operator.export().fine() == before.fine()
    assert "is an address" not in before.err


def test_a_config_that_can_reach_no_peer_is_a_warning(tmp_path: Path) -> None:
    operator = Operator(tmp_path)
    assert "has an endpoint" not in operator.export().err
    operator.peer("set", "aws", "--unset", "endpoint")
    assert f"so it reaches none: mesh-sync peer set N --endpoint HOST:PORT -C {tmp_path}" in operator.export().err


def test_an_endpoint_that_no_ddns_can_lead_elsewhere_is_a_warning(operator: Operator) -> None:
    assert "203.0.113.1:51820 is an address" in operator.export().err


def test_the_key_is_put_in_when_it_is_the_right_one(operator: Operator, tmp_path: Path) -> None:
    text = operator.export("--private-key-file", operator.key).fine()
    assert f"PrivateKey = {operator.key.read_text().strip()}\n" in text
    other = tmp_path / "other.key"
    write_atomically(other, keys.generate() + "\n")
    ended = operator.export("--private-key-file", other)
    assert ended.code == 2
    assert "does not belong to the public key of phone" in ended.err
    assert other.read_text().strip() not in ended.err


def test_the_code_in_the_terminal_holds_the_config_without_its_comments(operator: Operator) -> None:
    ended = operator.export("--private-key-file", operator.key, "--qr")
    text = operator.export("--private-key-file", operator.key).fine()
    bare = "".join(f"{line}\n" for line in text.splitlines() if line and not line.startswith("#"))
    expected = io.StringIO()
    segno.make_qr(bare, error="L", boost_error=False).terminal(expected, compact=True)
    assert ended.fine() == expected.getvalue()
    assert "placeholder" not in ended.err
    assert "PrivateKey" not in ended.out


def test_a_code_without_the_key_says_so(operator: Operator) -> None:
    assert "placeholder" in operator.export("--qr").err


@pytest.mark.parametrize("name", ["p.conf", "p.txt", "p.svg", "p.PNG"])
def test_files_are_for_the_owner_only_from_the_start(operator: Operator, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    operator.export("--private-key-file", operator.key, "-o", file).fine()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == [name], "nothing half-written is left"
    content = file.read_bytes()
    if file.suffix == ".svg":
        assert ElementTree.fromstring(content).tag.endswith("svg")
    elif file.suffix == ".PNG":
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
    else:
        assert content.decode() == operator.export("--private-key-file", operator.key).fine()


def test_a_name_that_does_not_say_what_to_write(operator: Operator, tmp_path: Path) -> None:
    ended = operator.export("-o", tmp_path / "p.gif")
    assert ended.code == 2
    assert ".conf, .txt, .svg, .png" in ended.err


def test_a_place_that_cannot_be_written(operator: Operator) -> None:
    ended = operator.export("-o", "/proc/none/p.conf")
    assert ended.code == 2
    assert "cannot be written" in ended.err


def test_a_private_key_is_not_written_into_the_repository(operator: Operator) -> None:
    file = operator.mesh / "phone.conf"
    ended = operator.export("--private-key-file", operator.key, "-o", file)
    assert ended.code == 2
    assert not file.exists()


def test_an_unknown_peer_and_a_missing_key(operator: Operator) -> None:
    assert "nobody is not in the mesh" in operator.export(name="nobody").err
    assert "does not exist" in operator.export("--private-key-file", "/nonexistent").err


def test_more_than_a_code_holds_is_a_sentence(tmp_path: Path) -> None:
    operator = Operator(tmp_path)
    for number in range(20):
        operator.add(f"site{number}", "--endpoint", f"site{number}.example.org:51820")
    operator.peer("set", "phone", "--unset", "via")
    ended = operator.export("--qr")
    assert ended.code == 1
    assert "more than a QR code holds" in ended.err
    assert "--via" in ended.err


@pytest.mark.parametrize(
    ("name", "usable"), [("phone", True), ("a" * 15, True), ("a" * 16, False), ("my phone", False)]
)
def test_a_file_after_which_no_tunnel_can_be_named_is_told(
    operator: Operator, tmp_path: Path, name: str, usable: bool
) -> None:
    ended = operator.export("-o", tmp_path / f"{name}.conf")
    ended.fine()
    assert ("a tunnel is named after its file" in ended.err) is not usable
    assert "named after" not in operator.export("-o", tmp_path / f"{name}.txt").err
