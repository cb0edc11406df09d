"""The files of the list to a mesh: every key means what the page on the format says, and no text is too strange."""

from __future__ import annotations

import base64
import ipaddress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_sync.check.examine import examine
from mesh_sync.findings import Finding, errors
from mesh_sync.mesh.manifest import read
from mesh_sync.mesh.model import Guard, Mesh, Peer
from mesh_sync.mesh.tree import Tree, from_directory
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.wireguard.endpoint import Endpoint

calmly = settings(suppress_health_check=[HealthCheck.too_slow])
"""However busy the machine is."""
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = base64.b64encode(b"k" * 32).decode()
OTHER_KEY = base64.b64encode(b"o" * 32).decode()
MESH = b'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n'
PEER = f'public_key = "{KEY}"\naddresses = ["10.0.0.1"]\n'.encode()
FULL_MESH = b"""
format = 1
name = "Our mesh"
networks = ["10.0.0.0/24", "fd00::/64"]
listen_port = 1024
mtu = 1380
persistent_keepalive = 15
dns_zone = "mesh.example"
preshared_keys = "none"
[guard]
max_removed_peers = 1
[[expect]]
from = "a"
to = "10.1.0.0/16"
[[expect]]
from = "a"
to = "b"
reachable = false
"""
FULL_PEER = f"""
public_key = "{KEY}"
addresses = ["10.0.0.1", "fd00::1/128"]
endpoint = ["a.example:51820", "[2001:db8::1]:51820"]
subnets = ["10.1.0.0/16", "fd01::/64"]
listen_port = 51821
mtu = 1400
persistent_keepalive = 0
via = "b"
managed = false
enabled = false
next_public_key = "{OTHER_KEY}"
tags = ["home", "nas"]
description = "Dinge – things"
owner = "anna"
expires = 2027-01-31
""".encode()


def mesh_of(text: bytes, peer: bytes = PEER) -> Mesh:
    mesh, findings = read({"mesh.toml": text, "peers/a.toml": peer})
    assert findings == ()
    assert mesh is not None
    return mesh


def peer_of(text: bytes) -> Peer:
    return mesh_of(MESH, text).peers["a"]


def test_every_key_of_a_peer_is_read() -> None:
    assert peer_of(FULL_PEER) == Peer(
        name="a",
        public_key=KEY,  # type: ignore[arg-type]
        addresses=(ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("fd00::1")),
        endpoint=(Endpoint("a.example", 51820), Endpoint("2001:db8::1", 51820)),
        subnets=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd01::/64")),
        listen_port=51821,  # type: ignore[arg-type]
        mtu=1400,  # type: ignore[arg-type]
        persistent_keepalive=0,  # type: ignore[arg-type]
        via="b",  # type: ignore[arg-type]
        managed=False,
        enabled=False,
        next_public_key=OTHER_KEY,  # type: ignore[arg-type]
        tags=("home", "nas"),
        description="Dinge – things",
        owner="anna",
        expires=date(2027, 1, 31),
    )


def test_every_key_of_the_mesh_is_read() -> None:
    mesh = mesh_of(FULL_MESH)
    assert (mesh.name, mesh.listen_port, mesh.mtu, mesh.persistent_keepalive) == ("Our mesh", 1024, 1380, 15)
    assert [str(network) for network in mesh.networks] == ["10.0.0.0/24", "fd00::/64"]
    assert (mesh.dns_zone, mesh.preshared_keys, mesh.guard) == ("mesh.example", "none", Guard(max_removed_peers=1))
    assert [(e.source, e.to, e.reachable) for e in mesh.expect] == [("a", "10.1.0.0/16", True), ("a", "b", False)]


def test_what_is_left_out_has_its_default() -> None:
    mesh = mesh_of(MESH)
    assert (mesh.listen_port, mesh.mtu, mesh.persistent_keepalive) == (51820, None, None)
    assert (mesh.dns_zone, mesh.preshared_keys, mesh.guard.max_removed_peers) == ("mesh.internal", "none", 3)
    peer = mesh.peers["a"]
    assert (peer.endpoint, peer.subnets, peer.via, peer.managed, peer.enabled) == ((), (), None, True, True)


def test_one_endpoint_needs_no_list() -> None:
    assert peer_of(PEER + b'endpoint = "a.example:1"').endpoint == (Endpoint("a.example", 1),)


def test_a_line_may_end_as_on_windows() -> None:
    assert peer_of(PEER.replace(b"\n", b"\r\n")).name == "a"


def test_a_file_may_begin_with_the_mark_of_a_windows_editor() -> None:
    found, findings = read({"mesh.toml": b"\xef\xbb\xbf" + b'format = 1\nname = "m"\nnetworks = ["10.0.0.0/24"]\n'})
    assert found is not None
    assert findings == ()


def test_a_broken_peer_is_left_out_and_the_others_stay() -> None:
    mesh, findings = read({"mesh.toml": MESH, "peers/a.toml": PEER, "peers/b.toml": b"= 1"})
    assert mesh is not None
    assert set(mesh.peers) == {"a"}
    assert [finding.file for finding in findings] == ["peers/b.toml"]


def test_only_mesh_toml_and_the_files_of_peers_declare_anything(tmp_path: Path) -> None:
    texts = {
        "mesh.toml": MESH,
        "peers/a.toml": PEER,
        "peers/README.md": b"= 1",
        "a.toml": b"= 1",
        "x/mesh.toml": b"= 1",
    }
    assert Tree(texts).manifests.keys() == {"mesh.toml", "peers/a.toml"}
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(text)
    assert examine(from_directory(tmp_path), MOMENT)[1] == ()


# -- when a peer ends


@pytest.mark.parametrize(
    ("expires", "last"),
    [
        ("2026-01-31", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 11, 59, 59, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 9, 59, 59, tzinfo=UTC)),
        ("2026-01-31 12:00:00", datetime(2026, 1, 31, 11, 59, 59, tzinfo=UTC)),
    ],
)
def test_an_expired_peer_is_out_from_that_moment_on(expires: str, last: datetime) -> None:
    peer = peer_of(PEER + f"expires = {expires}\n".encode())
    assert peer.active(last)
    assert not peer.active(last + timedelta(seconds=1))


EXTREMES = ("9999-12-31", "9999-12-31T23:59:59-23:59", "0001-01-01", "0001-01-01T00:00:00+23:59")


@pytest.mark.parametrize("expires", EXTREMES)
def test_the_first_and_the_last_of_days_are_dates_like_others(expires: str) -> None:
    files = {"mesh.toml": MESH, "peers/a.toml": PEER + f"expires = {expires}\n".encode()}
    mesh, findings = examine(Tree(files), MOMENT)
    assert errors(findings) == ()
    assert mesh is not None
    assert mesh.peers["a"].active(MOMENT) == expires.startswith("9999")


# -- any bytes

FILES = ("mesh.toml", "peers/a.toml", "peers/b.toml")


def is_a_mesh_or_says_why(texts: dict[str, bytes]) -> None:
    mesh, findings = examine(Tree(texts), MOMENT)
    assert mesh is not None or errors(findings)
    for finding in findings:
        assert str(finding).isprintable()
        assert len(str(finding)) < 1500


@pytest.mark.parametrize(
    ("key", "most", "one"),
    [("endpoint", 8, "h{}.example:1"), ("addresses", 16, "10.0.0.{}")],
    ids=["endpoint", "address"],
)
def test_a_peer_has_few_endpoints_and_addresses(key: str, most: int, one: str) -> None:
    for count, message in ((most, []), (most + 1, [f"has {most + 1} entries; at most {most} are allowed"])):
        table = {"public_key": KEY, "addresses": ["10.0.0.1"], key: [one.format(n) for n in range(1, count + 1)]}
        found = read({"mesh.toml": MESH, "peers/a.toml": tomlkit.dumps(table).encode()})[1]
        assert [finding.message for finding in errors(found)] == message


@calmly
@given(st.dictionaries(st.sampled_from(FILES), st.binary(max_size=200)))
def test_any_bytes_are_a_mesh_or_findings(texts: dict[str, bytes]) -> None:
    is_a_mesh_or_says_why(texts)


def mutilated(text: bytes) -> st.SearchStrategy[bytes]:
    """The text with a piece replaced by anything."""
    cut = st.tuples(st.integers(0, len(text)), st.integers(0, 20), st.binary(max_size=12) | st.just(b"\\u001b"))
    return cut.map(lambda what: text[: what[0]] + what[2] + text[what[0] + what[1] :])


@calmly
@given(mutilated(FULL_MESH), mutilated(FULL_PEER), mutilated(PEER))
def test_a_list_that_somebody_mutilated_is_a_mesh_or_findings(mesh: bytes, a: bytes, b: bytes) -> None:
    is_a_mesh_or_says_why({"mesh.toml": mesh, "peers/a.toml": a, "peers/b.toml": b})


VALUES: st.SearchStrategy[object] = st.recursive(
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20) | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MESH_KEYS = ("format", "name", "networks", "mtu", "listen_port", "dns_zone", "guard", "expect", "preshared_keys")
PEER_KEYS = ("public_key", "addresses", "endpoint", "subnets", "mtu", "via", "tags", "expires", "enabled", "owner")


@calmly
@given(
    st.dictionaries(st.sampled_from(MESH_KEYS) | st.text(max_size=5), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(PEER_KEYS) | st.text(max_size=5), VALUES, max_size=3),
)
def test_any_values_under_any_keys_are_a_mesh_or_findings(mesh: dict[str, object], peer: dict[str, object]) -> None:
    def changed(text: bytes, values: dict[str, object]) -> bytes:
        return tomlkit.dumps({**tomlkit.parse(text.decode()).unwrap(), **values}).encode(errors="replace")

    is_a_mesh_or_says_why({"mesh.toml": changed(MESH, mesh), "peers/a.toml": changed(PEER, peer), "peers/b.toml": PEER})


@calmly
@given(st.text(), st.text(), st.text())
def test_no_finding_gives_a_terminal_an_order(file: str, key: str, message: str) -> None:
    finding = Finding(file, key, message)
    assert str(finding).isprintable()
    assert Finding(finding.file, finding.key, finding.message) == finding, "read back from a state file, it is the same"


@pytest.mark.parametrize("opening", ["[", "{a=", "a."])
def test_depth_is_no_weapon(opening: str) -> None:
    for depth in (100, 1_000, 5_000):
        strange = opening * depth + "b"
        is_a_mesh_or_says_why({"mesh.toml": MESH, "peers/a.toml": PEER + f"tags = {strange}".encode()})
        is_a_mesh_or_says_why({"mesh.toml": MESH, "peers/a.toml": PEER + f"mtu.{strange} = 1".encode()})


def test_of_two_lists_that_are_read_in_turn_only_the_files_that_differ_are_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[bytes] = []

    def counted(content: bytes) -> object:
        parsed.append(content)
        return read_toml(content)

    monkeypatch.setattr("mesh_sync.mesh.manifest.read_toml", counted)
    keys = [base64.b64encode(bytes([number]) * 32).decode() for number in range(1, 51)]
    texts = [f'public_key = "{key}"\naddresses = ["10.0.0.{n}"]\nmtu = 1377\n'.encode() for n, key in enumerate(keys)]
    files = {"mesh.toml": MESH, **{f"peers/n{number}.toml": text for number, text in enumerate(texts)}}
    read(files)
    parsed.clear()
    assert read({**files, "peers/n7.toml": texts[7] + b"# moved\n"})[0] == read(files)[0]
    assert parsed == [texts[7] + b"# moved\n", MESH, texts[7], MESH]


def test_a_file_means_the_same_whatever_was_read_before() -> None:
    """Under its own name, and broken each time that it is."""
    a, b = PEER, PEER.replace(KEY.encode(), OTHER_KEY.encode())
    for files in ({"peers/a.toml": a}, {"peers/b.toml": a}, {"peers/a.toml": b}, {"peers/a.toml": b"mtu = 3"}) * 2:
        mesh, findings = read({"mesh.toml": MESH, **files})
        (path,) = files
        assert mesh
        if findings:
            assert not mesh.peers
            assert files[path] == b"mtu = 3"
            assert {finding.file for finding in findings} == {path}
        else:
            (found,) = mesh.peers.values()
            assert found.file == path
            assert found.public_key == (KEY if files[path] is a else OTHER_KEY)
