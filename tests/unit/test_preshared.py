"""Preshared keys are a function of the mesh secret and the pair, and of nothing else."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from nacl.encoding import Base64Encoder
from nacl.hash import blake2b

from mesh_sync.errors import Refused
from mesh_sync.mesh.manifest import read
from mesh_sync.mesh.model import Mesh, Peer, PeerName, PublicKey
from mesh_sync.mesh.model import Preshared as Use
from mesh_sync.mesh.render import Renderer
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.preshared import derive, sealed, sealed_box
from mesh_sync.preshared.derive import Secrets, pair_key, with_keys
from mesh_sync.preshared.sealed import Sealed
from mesh_sync.preshared.secret_file import Source, load, remembered, save
from mesh_sync.typed_toml.fields import LABEL
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.table import Wrong, table
from mesh_sync.wireguard import conf, keys
from mesh_sync.wireguard.desired import Desired

A_KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
RAW = st.binary(min_size=32, max_size=32)
SECRET = bytes(range(32))


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("secret", "other", "expected"),
    [
        (SECRET, "azure", "4EDH4L0sP4XNU02GbhPoC0Zz6hcMfs2Ju/t/4k/pgHE="),
        (SECRET, "gcp", "9I86U2WeOqjdREAAYw+sHIuA8xlwLIN/az7XXitvg8c="),
        (bytes(32), "azure", "V/ovQPHqOqvpWpZZB1P1zl9evq0QZ8LA2P8XJlVuuMM="),
    ],
)
def test_vectors(secret: bytes, other: str, expected: str) -> None:
    assert pair_key(secret, "aws", other) == expected


NAMES = st.from_regex(LABEL, fullmatch=True)


@given(RAW, NAMES, NAMES)
def test_it_is_keyed_blake2b_of_both_names_as_libsodium_computes_it(secret: bytes, one: str, other: str) -> None:
    words = " ".join(sorted((one, other))).encode()
    expected = blake2b(words, key=secret, person=b"mesh-sync/psk/1", encoder=Base64Encoder).decode()
    assert pair_key(secret, one, other) == pair_key(secret, other, one) == expected


@given(st.lists(NAMES, min_size=3, max_size=6, unique=True))
def test_every_pair_has_another_key_and_every_secret_too(names: list[str]) -> None:
    found = [pair_key(secret, a, b) for secret in (SECRET, bytes(32)) for a in names for b in names if a < b]
    assert len(set(found)) == len(found)


def mesh_of(number: int, use: Use | None = None, *, unmanaged: str = "") -> Mesh:
    """Peers n1, n2, …; the public key of each is its number 32 times."""
    peers = {
        f"n{n}": Peer(
            name=f"n{n}", public_key=PublicKey(b64(bytes([n]) * 32)), addresses=(ip_address(f"10.0.0.{n}"),),
            managed=f"n{n}" != unmanaged,
        )
        for n in range(1, number + 1)
    }  # fmt: skip
    return Mesh(
        format=1, name="m", networks=(ip_network("10.0.0.0/24"),), preshared_keys="derived",
        preshared=use or Use(secret=1), peers=peers,
    )  # fmt: skip


def keyed(mesh: Mesh, name: str, **secrets: bytes) -> Desired:
    by_id = {int(number.removeprefix("s")): secret for number, secret in secrets.items()}
    return with_keys(Renderer(mesh, MOMENT).desired(name), mesh, Secrets(by_id))


@given(st.integers(2, 8), st.integers(1, 5))
def test_who_joins_changes_nobody_elses_key(number: int, more: int) -> None:
    before = {p.name: p.preshared_key for p in keyed(mesh_of(number), "n1", s1=SECRET).peers}
    after = {p.name: p.preshared_key for p in keyed(mesh_of(number + more), "n1", s1=SECRET).peers}
    assert before.items() <= after.items()


def test_both_ends_render_the_same_key() -> None:
    mesh = mesh_of(2)
    (here,), (there,) = keyed(mesh, "n1", s1=SECRET).peers, keyed(mesh, "n2", s1=SECRET).peers
    assert here.preshared_key == there.preshared_key == pair_key(SECRET, "n1", "n2")
    assert here.former_key is None


def test_a_peer_that_changes_its_key_keeps_its_preshared_key() -> None:
    mesh = mesh_of(2)
    two = evolve(mesh.peers["n2"], next_public_key=PublicKey(b64(bytes([9]) * 32)))
    (peer,) = keyed(evolve(mesh, peers={**mesh.peers, "n2": two}), "n1", s1=SECRET).peers
    (before,) = keyed(mesh, "n1", s1=SECRET).peers
    assert peer.preshared_key == before.preshared_key


def test_a_peer_that_is_renamed_keeps_its_preshared_keys() -> None:
    mesh = mesh_of(3)
    renamed = evolve(mesh.peers["n2"], name="new", original_name=PeerName("n2"))
    after = evolve(mesh, peers={"n1": mesh.peers["n1"], "n3": mesh.peers["n3"], "new": renamed})
    before = {peer.public_key: peer.preshared_key for peer in keyed(mesh, "n1", s1=SECRET).peers}
    assert {peer.public_key: peer.preshared_key for peer in keyed(after, "n1", s1=SECRET).peers} == before
    own = [peer.preshared_key for peer in keyed(mesh, "n2", s1=SECRET).peers]
    assert [peer.preshared_key for peer in keyed(after, "new", s1=SECRET).peers] == own


def test_without_the_secret_a_placeholder_stands_that_no_wireguard_takes() -> None:
    (peer,) = Renderer(mesh_of(2), MOMENT).desired("n1").peers
    assert peer.preshared_key == "PRESHARED_KEY_OF_THIS_PAIR_FROM_SECRET_1"
    with pytest.raises(KeyError):
        keyed(mesh_of(2), "n1", s2=SECRET)


def test_in_an_overlap_a_pair_has_both_keys_and_the_moment() -> None:
    mesh = mesh_of(3, Use(secret=2, former=1, since=MOMENT), unmanaged="n3")
    two, phone = keyed(mesh, "n1", s1=SECRET, s2=bytes(32)).peers
    assert (two.preshared_key, two.former_key) == (pair_key(bytes(32), "n1", "n2"), pair_key(SECRET, "n1", "n2"))
    assert two.moves_at == MOMENT.timestamp()
    assert phone.former_key == pair_key(SECRET, "n1", "n3")
    assert phone.moves_at is None, "it is moved by hand"
    never_had_it, _ = keyed(mesh, "n1", s2=bytes(32)).peers
    assert never_had_it.former_key is None


@pytest.mark.parametrize(("secret", "former"), [(1, 0), (0, 1)])
def test_no_key_at_all_can_be_the_newer_or_the_former_one(secret: int, former: int) -> None:
    mesh = mesh_of(2, Use(secret=secret, former=former, since=MOMENT))
    (peer,) = keyed(mesh, "n1", s1=SECRET).peers
    assert {peer.preshared_key, peer.former_key} == {"", pair_key(SECRET, "n1", "n2")}
    assert (peer.preshared_key == "") == (secret == 0)


def test_no_key_shows_in_a_repr_and_all_survive_the_state_file() -> None:
    mesh = mesh_of(2, Use(secret=2, former=1, since=MOMENT))
    desired = keyed(mesh, "n1", s1=SECRET, s2=bytes(32))
    (peer,) = desired.peers
    assert table(Desired)(json.loads(as_json(desired))) == desired
    assert peer.preshared_key not in repr(desired)
    assert str(peer.former_key) not in repr(desired)
    assert "x01" not in repr(Secrets({1: SECRET}))


def test_a_text_with_keys_is_not_kept_in_memory() -> None:
    desired = keyed(mesh_of(2), "n1", s1=SECRET)
    (peer,) = desired.peers
    assert f"PresharedKey = {peer.preshared_key}\n" in conf.text(desired)
    assert not any(peer.preshared_key in section for section in conf._sections.values())


# -- secret files


def test_a_secret_file_is_read_as_it_was_written() -> None:
    secrets = Secrets({1: SECRET, 12: bytes(32)})
    assert derive.parse(derive.text(secrets)) == secrets


@pytest.mark.parametrize(
    "line", ["1", f"x {b64(SECRET)}", f"0 {b64(SECRET)}", f"1 {b64(SECRET)} 2", "1 c2hvcnQ=", f"²  {b64(SECRET)}"]
)
def test_a_bad_line_is_named_and_not_quoted(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2 is not an id and a secret") as caught:
        derive.parse(f"# a comment\n{line}\n")
    assert b64(SECRET) not in str(caught.value)


@given(st.text())
def test_any_text_is_secrets_or_an_error(text: str) -> None:
    try:
        derive.parse(text)
    except ValueError:
        return


# -- sealed secrets


@given(RAW)
def test_only_the_nodes_own_key_opens_what_is_sealed_to_it(secret: bytes) -> None:
    private, other = keys.generate(), keys.generate()
    box = sealed_box.seal(secret, keys.public_key(private))
    assert len(box) == sealed.BOX
    file = Sealed(keys.public_key(private), {3: box})
    assert sealed_box.opened(file, private) == Secrets({3: secret})
    assert sealed_box.opened(file, other) == Secrets()
    assert sealed.read(sealed.written("a", file).encode()) == file


def test_a_box_that_was_touched_does_not_open() -> None:
    private = keys.generate()
    box = sealed_box.seal(SECRET, keys.public_key(private))
    bent = box[:-1] + bytes([box[-1] ^ 1])
    assert sealed_box.opened(Sealed(keys.public_key(private), {1: bent}), private) == Secrets()


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (b"\xff", [("", "is not UTF-8 text (byte 0)")]),
        (b"", [("public_key", "is missing"), ("sealed", "is missing")]),
        (b'public_key = 1\nsealed = 2\nmore = 3\n', [
            ("public_key", "must be text in quotes, not 1"), ("sealed", "must be a table, not 2"),
            ("more", "unknown key"),
        ]),
        (f'public_key = "{A_KEY}"\n[sealed]\n0 = ""\n1 = "{A_KEY}"\n'.encode(), [
            ("sealed.0", "is not the id of a secret: 1, 2, ..."),
            ("sealed.1", "is not a sealed secret (80 bytes of base64)"),
        ]),
    ],
)  # fmt: skip
def test_everything_wrong_with_a_sealed_file_is_said(text: bytes, problems: list[tuple[str, str]]) -> None:
    with pytest.raises(Wrong) as caught:
        sealed.read(text)
    assert caught.value.problems == problems


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_a_sealed_file_or_problems(text: bytes) -> None:
    try:
        sealed.read(text)
    except Wrong:
        return


# -- [preshared] in mesh.toml


def test_the_table_is_read() -> None:
    text = b'format=1\nname="m"\nnetworks=["10.0.0.0/24"]\npreshared_keys="derived"\n'
    mesh, findings = read({"mesh.toml": text + b"[preshared]\nsecret=2\nformer=1\nsince=2030-01-01T00:00:00Z\n"})
    assert findings == ()
    assert mesh is not None
    assert mesh.preshared == Use(secret=2, former=1, since=MOMENT)
    _, findings = read({"mesh.toml": text + b"[preshared]\nsecret=-1\nsince=2030-01-01\n"})
    assert [finding.key for finding in findings] == ["preshared.secret", "preshared.since"]


def test_what_a_commit_does_not_name_is_still_remembered_for_the_way_back() -> None:
    kept = Secrets({1: SECRET})
    assert remembered(kept, {}) == kept, "a commit with a secret that nobody has takes nothing away"
    assert remembered(kept, {2: bytes(32)}) == Secrets({1: SECRET, 2: bytes(32)})


def test_only_the_last_few_secrets_are_remembered_and_those_in_use_always() -> None:
    kept = Secrets(dict.fromkeys((2, 3, 4, 5), SECRET))
    assert sorted(remembered(kept, {6: SECRET, 5: SECRET}).by_id) == [3, 4, 5, 6]
    assert sorted(remembered(kept, {1: SECRET}).by_id) == [1, 3, 4, 5]


def test_a_node_that_reads_a_refused_commit_loses_no_secret(tmp_path: Path) -> None:
    node = Node(
        name="n1", repository=Repository(urls=("file:///nowhere",)), trust=Trust(mode="none"),
        paths=Paths(state=tmp_path),
    )  # fmt: skip
    node.kept_secret_file.parent.mkdir()
    save(node.kept_secret_file, Secrets({1: SECRET}))
    mesh = mesh_of(2, Use(secret=2))
    with pytest.raises(Refused, match="the mesh secret 2 is not sealed to this node"):
        Source(node, {}, ()).keyed(Renderer(mesh, MOMENT).desired("n1"), mesh)
    assert load(node.kept_secret_file) == Secrets({1: SECRET})
