"""`mesh-sync peer rename`: every mention of a peer gets the new name, and nothing else changes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

import attrs
import git
import pytest

from command import Ended, mesh_sync
from mesh_sync.mesh.model import Expect, Guard, Mesh, Peer, PeerName, Preshared, Rollout
from mesh_sync.mesh.rename_toml import in_mesh, in_peer
from mesh_sync.preshared import sealed
from mesh_sync.preshared.sealed_box import opened
from mesh_sync.wireguard import keys
from unit.git_identity import as_alice
from unit.list_keeper import Operator, key

SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII3I1haPNf99SYcylAD82Pw7b5Mj7L4RTmjDjhM4y+/g"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkB1X+1dU0DbCgtB09oTDU8NrMf/5cGHnX3nOX0hG5z"


def rename(operator: Operator, old: str, new: str, *words: object) -> Ended:
    return operator.peer("rename", old, new, *words)


def write(operator: Operator, path: str, text: str) -> None:
    (operator.place / path).parent.mkdir(exist_ok=True)
    (operator.place / path).write_text(text)


def text(operator: Operator, path: str) -> str:
    return (operator.place / path).read_text()


def test_every_key_that_holds_a_peers_name_is_one_that_is_renamed() -> None:
    """A key that is new in the model fails here until `mesh.rename_toml` knows it."""
    found = {
        (kind.__name__, name)
        for kind in (Mesh, Peer, Guard, Rollout, Expect, Preshared)
        for name, type_ in get_type_hints(kind, vars(__import__("mesh_sync.mesh.model", fromlist=["x"]))).items()
        if name in {each.name for each in attrs.fields(kind)} and PeerName in (type_, *get_args(type_))
    }
    renamed = {("Mesh", "exit"), ("Expect", "source"), ("Peer", "via"), ("Peer", "exit")}
    assert found == renamed | {("Peer", "machine"), ("Peer", "original_name")}, "those two are no peers' names now"
    lists = {name for kind in (Mesh, Rollout) for name in get_type_hints(kind) if name in ("canary", "expect")}
    assert lists == {"canary", "expect"}


def test_the_file_goes_on_under_the_new_name_with_its_comments(operator: Operator) -> None:
    said = rename(operator, "aws", "frankfurt").fine()
    assert said.startswith("peers/frankfurt.toml is what peers/aws.toml was; next:")
    assert (operator.file("frankfurt"), operator.has("aws")) == (operator.aws, False)
    assert mesh_sync("check", operator.place).code == 0


def test_peers_that_are_reached_through_it_or_leave_by_it(operator: Operator) -> None:
    operator.peer("set", "aws", "--subnet", "0.0.0.0/0").fine()
    operator.add("phone", "--unmanaged", "--via", "aws").fine()
    operator.add("home", "--exit", "aws", "--description", "aws").fine()
    operator.put("home", operator.file("home").replace('exit = "aws"', 'exit = "aws"   # the fast one'))
    said = rename(operator, "aws", "frankfurt").fine()
    assert "changed with it: peers/home.toml, peers/phone.toml;" in said
    assert 'via = "frankfurt"\n' in operator.file("phone")
    assert 'exit = "frankfurt"   # the fast one\n' in operator.file("home")
    assert 'description = "aws"\n' in operator.file("home"), "what people write is theirs"
    assert mesh_sync("check", operator.place).code == 0


def test_the_exit_the_canaries_and_the_expectations_of_the_mesh(operator: Operator) -> None:
    operator.peer("set", "aws", "--subnet", "0.0.0.0/0").fine()
    operator.add("home", "--tag", "fast").fine()
    more = """exit = "aws"  # for all
[rollout]
canary = [
    "fast",
    "aws",  # it is watched
]
[[expect]]
from = "aws"
to = "home"
[[expect]]
from = "home"  # and back
to = "aws"
"""
    write(operator, "mesh.toml", text(operator, "mesh.toml") + more)
    rename(operator, "aws", "frankfurt").fine()
    assert text(operator, "mesh.toml").endswith(more.replace('"aws"', '"frankfurt"'))
    assert mesh_sync("check", operator.place).code == 0


def test_a_canary_that_is_also_a_tag_stays_and_the_peer_stays_a_canary(operator: Operator) -> None:
    operator.add("home", "--tag", "aws").fine()
    write(operator, "mesh.toml", text(operator, "mesh.toml") + '[rollout]\ncanary = ["aws"]\n')
    rename(operator, "aws", "frankfurt").fine()
    assert text(operator, "mesh.toml").endswith('canary = ["aws", "frankfurt"]\n')


def test_the_word_none_in_place_of_an_exit_is_no_peer() -> None:
    assert in_peer('exit = "none"\nvia = "none"\n', "none", "nine") == 'exit = "none"\nvia = "nine"\n'
    assert in_mesh('exit = "none"\n', "none", "nine", is_tag=False) == 'exit = "none"\n'


def test_the_rights_and_the_signing_keys_of_the_node(operator: Operator) -> None:
    policy = '[nodes]\n# it announces\naws = ["subnets"]  # by itself\n"*" = ["tags"]\n'
    write(operator, "policy.toml", policy)
    signers = f'# ours\nanna@example.org {OTHER} aws@node.test\n  aws@node.test\tnamespaces="git" {SSH} aws\n'
    write(operator, "allowed_signers", signers)
    said = rename(operator, "aws", "frankfurt").fine()
    assert "changed with it: allowed_signers, policy.toml;" in said
    assert text(operator, "policy.toml") == policy.replace("aws =", "frankfurt =")
    assert text(operator, "allowed_signers") == signers.replace("  aws@node.test\t", "  frankfurt@node.test\t")


def test_whose_files_they_are_on_the_git_host(operator: Operator) -> None:
    write(
        operator, ".github/CODEOWNERS", "*  @all\n/peers/aws.toml   @cloud\n/peers/aws.toml.old @x\n# peers/aws.toml\n"
    )
    rename(operator, "aws", "frankfurt").fine()
    expected = "*  @all\n/peers/frankfurt.toml   @cloud\n/peers/aws.toml.old @x\n# peers/aws.toml\n"
    assert text(operator, ".github/CODEOWNERS") == expected


@pytest.mark.parametrize(
    ("path", "there", "why"),
    [
        ("peers/frankfurt.toml", "", "peers/frankfurt.toml exists already"),
        ("policy.toml", "[nodes]\naws = []\nfrankfurt = []\n", "policy.toml gives rights to frankfurt already"),
        ("allowed_signers", f"frankfurt@node.test {SSH}\n", "allowed_signers has keys of frankfurt@node.test already"),
        ("policy.toml", "[nodes\naws", "policy.toml is not valid TOML"),
    ],
)
def test_what_another_peer_had_under_the_new_name_is_not_inherited(
    operator: Operator, path: str, there: str, why: str
) -> None:
    write(operator, path, there)
    ended = rename(operator, "aws", "frankfurt")
    assert ended.code != 0
    assert why in ended.err
    assert operator.file("aws") == operator.aws
    assert text(operator, path) == there


@pytest.mark.parametrize(("old", "new", "why"), [
    ("gcp", "b", "there is no peers/gcp.toml"),
    ("aws", "Frankfurt", "'Frankfurt' is not a peer name"),
    ("aws", "../x", "'../x' is not a peer name"),
    ("aws", "aws", "aws has that name already"),
    ("aws", "none", 'no peer can be called "none"'),
])  # fmt: skip
def test_names_that_cannot_be(operator: Operator, old: str, new: str, why: str) -> None:
    ended = rename(operator, old, new)
    assert ended.code in (1, 2)
    assert why in ended.err
    assert operator.file("aws") == operator.aws


def test_only_where_pairs_go_by_names_the_first_one_is_kept(operator: Operator) -> None:
    operator.add("home").fine()
    rename(operator, "home", "house").fine()
    assert "original_name" not in operator.file("house"), "an earlier version reads this list, too"
    operator.peer("set", "aws", "--relay").fine()
    said = rename(operator, "house", "flat").fine()
    assert 'original_name = "house"\n' in operator.file("flat")
    assert "flat keeps original_name" in said
    rename(operator, "flat", "home").fine()
    assert 'original_name = "house"\n' in operator.file("home"), "the first, not the last"
    rename(operator, "home", "house").fine()
    assert "original_name" not in operator.file("house"), "it is called so again"


def test_a_commit_that_needs_no_trailer_and_moves_what_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_alice(monkeypatch)
    mesh, private = tmp_path / "mesh", keys.generate()
    mesh_sync("init", mesh).fine()
    for name, public in (("aws", keys.public_key(private)), ("home", key())):
        mesh_sync("peer", "add", name, "--public-key", public, "--endpoint", f"{name}.example:1", "-C", mesh).fine()
    repository = git.Repo(mesh)
    repository.git.add("--all")
    repository.git.commit("-qm", "two")
    mesh_sync("secret", "new", "--secret-file", tmp_path / "secret", "-C", mesh, "--commit").fine()
    before = opened(sealed.read((mesh / "secrets/aws.toml").read_bytes()), private)
    base = repository.head.commit.hexsha
    said = mesh_sync("peer", "rename", "aws", "frankfurt", "-C", mesh, "--commit").fine()
    assert "'aws: is renamed to frankfurt'" in said
    assert repository.git.status("--porcelain") == ""
    found = (mesh / "secrets/frankfurt.toml").read_text()
    assert opened(sealed.read(found.encode()), private) == before
    assert "aws" not in found
    assert not (mesh / "secrets/aws.toml").exists()
    assert tomllib.loads((mesh / "peers/frankfurt.toml").read_text())["original_name"] == "aws"
    assert mesh_sync("check", "--since", base, mesh).code == 0
    shown = mesh_sync("plan", f"{base}..HEAD", "-C", mesh).fine()
    assert shown == "frankfurt\n  ~ is aws under another name\n1 node would change\n"


def test_a_rename_by_hand_is_told_from_a_removal(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    as_alice(monkeypatch)
    operator.add("home").fine()
    operator.git.git.add("--all")
    operator.git.git.commit("-qm", "two")
    (operator.place / "peers/aws.toml").rename(operator.place / "peers/zurich.toml")
    assert mesh_sync("plan", "HEAD", "-C", operator.place).fine() == (
        "zurich\n  ~ is aws under another name\n1 node would change\n"
    )
    operator.peer("set", "zurich", "--mtu", "1300").fine()
    said = mesh_sync("plan", "HEAD", "-C", operator.place).fine()
    assert said == "zurich\n  ~ is aws under another name\n  ~ MTU unset -> 1300\n1 node would change\n"
