"""`mesh-sync log` and `blame`: what commits changed in the mesh, and whose signature counts for them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from command import mesh_sync
from mesh_sync.mesh.list_changes import list_changes
from unit.judging_node import ADMIN, NODE_A, SignedMesh
from unit.list_keeper import key


def log(mesh: SignedMesh, *words: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(mesh_sync("log", *words, "--json", "-C", mesh.folder).fine())["commits"]
    return found


def texts(mesh: SignedMesh, *words: object) -> list[list[str]]:
    return [[change["text"] for change in one["changes"]] for one in log(mesh, *words)]


def blamed(mesh: SignedMesh, peer: str) -> dict[str, tuple[str, str | None]]:
    """The value of each key, and the commit that set it."""
    found = json.loads(mesh_sync("blame", peer, "--json", "-C", mesh.folder).fine())["keys"]
    return {one["key"]: (one["value"], one["set_by"] and one["set_by"]["commit"]) for one in found}


def rename(mesh: SignedMesh, old: str, new: str) -> str:
    mesh_sync("peer", "rename", old, new, "-C", mesh.folder).fine()
    return mesh.commit(f"{old} is {new}")


# -- who


def test_who_has_signed_is_told_where_the_signature_counts(signed: SignedMesh) -> None:
    signed.set("b", endpoint="b.example:2")
    signed.commit("by the admin")
    signed.sign_as(NODE_A)
    signed.set("a", endpoint="a.example:2")
    signed.commit("by the node")
    signed.sign_as("eve@example.org")
    signed.commit("by a stranger")
    signed.sign_as(None)
    signed.commit("by no key")
    found = log(signed)
    assert [(one["signer"], one["problem"]) for one in found] == [
        (None, "not signed"), (None, "signed by no key that the list had"),
        (NODE_A, None), (ADMIN, None), (ADMIN, None),
    ]  # fmt: skip
    assert found[0]["author"] == "operator@example.org"
    assert found[0]["subject"] == "by no key"


def test_a_signature_of_other_bytes_counts_for_none(signed: SignedMesh) -> None:
    text = signed.git("cat-file", "commit", "HEAD").replace("two peers", "two pears")
    argv = ["git", "-C", signed.work, "hash-object", "-t", "commit", "-w", "--stdin"]
    forged = signed.operator.run(argv, input=text).stdout.strip()
    signed.git("reset", "-q", "--hard", forged)
    [one] = log(signed)
    assert (one["signer"], one["problem"]) == (None, "its signature does not match it")


def test_a_key_counts_from_the_commit_after_the_one_that_adds_it(signed: SignedMesh) -> None:
    signed.sign_as("eve@example.org")
    signed.allow(ADMIN, "eve@example.org")
    signed.commit("eve lets herself in")
    signed.set("b", mtu=1300)
    signed.commit("and goes on")
    after, itself, _ = log(signed)
    assert (after["signer"], itself["signer"]) == ("eve@example.org", None)
    admins = [change["text"] for change in itself["changes"] if change["kind"] == "admin"]
    assert any(text.startswith("eve@example.org becomes an admin") for text in admins)


def test_without_signers_the_author_is_told_and_that_it_is_not_verified(signed: SignedMesh) -> None:
    (signed.folder / "allowed_signers").unlink()
    signed.commit("no signers")
    signed.set("b", mtu=1300)
    signed.commit("more")
    assert log(signed)[0]["problem"] == "the list had no signers"
    assert "operator@example.org (the list had no signers)" in mesh_sync("log", "-C", signed.folder).fine()


# -- what


def test_changes_are_told_in_the_meshs_terms(signed: SignedMesh) -> None:
    signed.set("b", endpoint="b.example:2", subnets=["10.7.0.0/16"])
    signed.commit("moves")
    signed.set("b", subnets=["10.8.0.0/16"], mtu=1300, enabled=False, tags=["x"])
    signed.commit("more")
    signed.set("b", mtu=None, public_key=(new := key()))
    signed.commit("and more")
    signed.set_mesh(listen_port=1)
    signed.remove("b")
    signed.commit("gone")
    old = signed.git("show", "HEAD~4:peers/b.toml").split('"')[1]
    assert texts(signed, "-n", 4) == [
        ["b leaves", "mesh: listen_port 51820 -> 1"],
        [f"b: public_key {old} -> {new}", "b: mtu 1300 unset"],
        ["b: subnets added 10.8.0.0/16 and removed 10.7.0.0/16", "b: mtu 1300", "b: disabled", "b: tags added x"],
        ["b: endpoint b.example:51820 -> b.example:2", "b: subnets added 10.7.0.0/16"],
    ]
    assert texts(signed, "b", "-n", 1) == [["b leaves"]]


def test_a_peers_history_goes_on_under_its_former_names(signed: SignedMesh) -> None:
    signed.set("b", mtu=1300)
    signed.commit("first")
    rename(signed, "b", "berlin")
    signed.set("berlin", mtu=1301)
    signed.commit("second")
    rename(signed, "berlin", "bonn")
    signed.set("b", public_key=key(), addresses=["10.0.0.30"])
    signed.commit("another b")
    found = texts(signed, "bonn")
    assert [each[0] for each in found[:4]] == [
        "berlin is renamed to bonn", "berlin: mtu 1300 -> 1301", "b is renamed to berlin", "b: mtu 1300",
    ]  # fmt: skip
    assert found[4][0].startswith("b joins with 10.0.0.22, b.example:51820 and the key ")
    assert len(found) == 5
    assert mesh_sync("log", "bonne", "-C", signed.folder).err.startswith("mesh-sync: no commit has a peer 'bonne'")


def test_a_merge_tells_only_what_no_side_of_it_did(signed: SignedMesh) -> None:
    signed.git("checkout", "-q", "-b", "side")
    signed.set("b", mtu=1300)
    signed.commit("on the side")
    signed.git("checkout", "-q", "main")
    signed.set("a", mtu=1400)
    signed.commit("on main")
    signed.git("merge", "-q", "--no-commit", "side")
    signed.set("b", endpoint="evil.example:1")
    signed.commit("merge")
    merge, *sides, _ = texts(signed)
    assert merge == ["b: mtu 1300", "b: endpoint b.example:51820 -> evil.example:1"] or merge == [
        "b: endpoint b.example:51820 -> evil.example:1", "b: mtu 1300",
    ]  # fmt: skip
    assert sorted(sides) == [["a: mtu 1400"], ["b: mtu 1300"]]


def test_what_is_no_list_and_what_cannot_be_read() -> None:
    peer = b'public_key = "%s"\naddresses = ["10.0.0.1"]\n' % key().encode()
    found = list(list_changes({
        "peers/a.toml": (peer, b"mtu = "), "peers/b.toml": (b"x", b"y"), "README.md": (b"", b""),
        "secrets/a.toml": (None, b"x"), "peers/\x1b[2J.toml": (None, b"x"),
    }))  # fmt: skip
    assert [change.text for change in found] == [
        "\\x1b[2J joins, with a file that cannot be read",
        "peers/a.toml cannot be read any more",
        "peers/b.toml is changed; it cannot be compared",
        "the mesh secret is sealed to a",
        "README.md is changed",
    ]


def test_what_others_wrote_gives_no_orders_to_a_terminal(signed: SignedMesh) -> None:
    signed.set("b", description="\u202e\x1b[2J", tags=["\x1b]0;x"])
    signed.sign_as(None)
    signed.git("config", "user.name", "\x1b[2Jx")
    signed.commit("\x1b[2J subject")
    signed.git("commit", "-q", "--allow-empty", "-m", "\x1b[2J subject")
    for words in (("log",), ("log", "b"), ("blame", "b")):
        ended = mesh_sync(*words, "-C", signed.folder)
        assert "\x1b" not in ended.out + ended.err
        assert "\u202e" not in ended.out + ended.err
    assert "\\x1b[2J subject" in mesh_sync("log", "-C", signed.folder).fine()


# -- blame


def test_each_key_is_put_down_to_the_commit_that_gave_it_its_value(signed: SignedMesh) -> None:
    first = signed.first
    signed.set("b", mtu=1300, endpoint="b.example:2")
    second = signed.commit("second")
    rename(signed, "b", "berlin")
    signed.set("berlin", endpoint="b.example:3")
    third = signed.commit("third")
    signed.set("berlin", mtu=1301, listen_port=7)
    signed.commit("there")
    signed.set("berlin", mtu=1300)
    back = signed.commit("and back")
    signed.set("berlin", listen_port=8)
    found = blamed(signed, "berlin")
    assert found["endpoint"] == ("b.example:3", third)
    assert found["mtu"] == ("1300", back)
    assert found["addresses"] == ("10.0.0.22", first)
    assert found["listen_port"] == ("8", None)
    assert second not in [commit for _, commit in found.values()]
    shown = mesh_sync("blame", "berlin", "-C", signed.folder).fine()
    assert f"mtu\t1300\t{back[:10]}\t" in shown
    assert "listen_port\t8\t-\t-\tnot committed yet" in shown


def test_a_peer_that_came_back_has_its_keys_from_then(signed: SignedMesh) -> None:
    signed.set("b", mtu=1300)
    signed.commit("mtu")
    text = (signed.folder / "peers/b.toml").read_text()
    signed.remove("b")
    signed.commit("gone")
    signed.edit("peers/b.toml", text)
    again = signed.commit("again")
    assert {commit for _, commit in blamed(signed, "b").values()} == {again}


@pytest.mark.parametrize(
    ("peer", "why"), [("x", "there is no peers/x.toml"), ("../mesh", "'../mesh' is not a peer name")]
)
def test_who_is_not_there_cannot_be_blamed(signed: SignedMesh, peer: str, why: str) -> None:
    ended = mesh_sync("blame", peer, "-C", signed.folder)
    assert ended.code == 2
    assert why in ended.err


# -- long histories


def test_a_long_history_is_read_in_pieces_and_to_its_end(signed: SignedMesh) -> None:
    text = (signed.folder / "peers/b.toml").read_text()
    fed = []
    for number in range(1200):
        said = f"{text}mtu = {1300 + number % 7}\n"
        fed.append(
            f"commit refs/heads/main\ncommitter x <x@x> {1_800_000_000 + number} +0000\ndata 1\n.\n"
            + (f"from {signed.first}\n" if not number else "")
            + f"M 644 inline peers/b.toml\ndata {len(said)}\n{said}\n"
        )
    argv = ["git", "-C", signed.work, "fast-import", "--quiet"]
    subprocess.run(argv, input="".join(fed), text=True, check=True, timeout=60)
    signed.git("reset", "-q", "--hard")
    found = log(signed, "b")
    assert len(found) == 1201
    assert found[-1]["commit"] == signed.first
    assert blamed(signed, "b")["endpoint"][1] == signed.first
    assert len(log(signed, "-n", 3)) == 3
