"""Who is an admin is visible: no name that could be taken for a node's has their rights, and new admins are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.check.signers import changed_admins, signers
from mesh_sync.mesh.model import Mesh
from mesh_sync.trust.signers import Signers, parse
from unit.signed_history import ANNA, EVE, OTTO, A, B, History, line, make_keys

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkB1X+1dU0DbCgtB09oTDU8NrMf/5cGHnX3nOX0hG5z"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII3I1haPNf99SYcylAD82Pw7b5Mj7L4RTmjDjhM4y+/g"
HONEST = f"{ANNA} {OTHER}\n"


def judged(principal: str, mesh: str = "lab", peers: tuple[str, ...] = ("a", "b")) -> tuple[Signers, list[str]]:
    """Whose keys count in a mesh with one honest admin and this line, and the errors of the check."""
    content = f"{HONEST}{principal} {KEY}\n".encode()
    declared = Mesh(format=1, name=mesh, networks=(), peers=dict.fromkeys(peers))  # type: ignore[arg-type]
    return parse(content)[0].in_mesh(mesh), [str(one) for one in signers({"allowed_signers": content}, declared)]


@pytest.mark.parametrize(
    "principal",
    [
        "b@Node.lab",
        "b@NODE.lab",
        "b@node",
        "b@Node",
        "b@nodes",
        "b@nodes.lab",
        "b@node.lab@",
        "b@@node.lab",
        "b@node.lab@node.lab",
        "@node.lab",
        "b@",
        "b@nоde.lab",
        "b@ｎode.lab",
        "b@node\u200b.lab",
        "b@node。lab",
        "b@nod..lab",
        "b@nod.lab",
        "b@noode.lab",
        "b@ndoe.lab",
        "b@mode.lab",
        "b@n0de.lab",
        "b@node-lab",
        "b@node_lab",
        "b@nodelab",
        "b@nodes-lab",
        "b@no.de.lab",
        "b@.node.lab",
        "b@x.node.lab",
        "b@x.NODE.Lab",
        "b@nodé.lab",
        "b@noce.1ab",
        "b@example.org.",
        "b@mode.example.org",
        "B@code.org",
        f"{'x' * 250}@x.org",
    ],
)
def test_what_could_be_taken_for_a_node_is_an_error_and_its_key_counts_for_nothing(principal: str) -> None:
    counting, errors = judged(principal)
    assert len(errors) == 1
    if principal not in ("b@mode.example.org", "B@code.org"):  # these are told by the peers, which trust does not read
        assert [one.principal for one in counting.entries] == [ANNA]


@pytest.mark.parametrize(
    "principal", ["b@node.LAB", "b@node.other", "b@node.lab.", "b@node.", "b@node.lab.example", "b@node.1ab"]
)
def test_a_node_of_another_mesh_is_an_error_and_no_admin(principal: str) -> None:
    counting, errors = judged(principal)
    assert len(errors) == 1
    assert [one.principal for one in counting.admins] == [ANNA]


@pytest.mark.parametrize(
    "principal",
    [
        "Otto@Example.org",
        "OTTO@EXAMPLE.ORG",
        "otto+git@mail.example.co.uk",
        "otto@localhost",
        "otto@lab",
        "b@example.org",
        "otto@code.org",
        "otto@modern.org",
        "otto@xn--bcher-kva.example",
        "node@example.org",
    ],
)
def test_an_honest_admin_is_one(principal: str) -> None:
    counting, errors = judged(principal)
    assert errors == []
    assert [one.principal for one in counting.admins] == [ANNA, principal]


@pytest.mark.parametrize("mesh", ["lab", "Home", "Zürich", "example.org", ""])
def test_a_node_is_one_whatever_its_mesh_is_called(mesh: str) -> None:
    counting, errors = judged(f"b@node.{mesh or 'lab'}", mesh)
    assert errors == []
    assert [one.is_node for one in counting.entries] == [False, True]


def begun(place: Path) -> History:
    (place / "clone").mkdir()
    make_keys(place)
    return History(place / "clone")


def test_a_name_that_could_be_mistaken_signs_nothing_although_an_admin_has_listed_it(
    tmp_path: Path,
) -> None:
    """Not even what the check would refuse it for: a commit on top could rename it."""
    history = begun(tmp_path)
    history.commit(ANNA, ANNA, OTTO, A, B, line(EVE).replace(EVE, "b@nodes-lab"))
    history.git("tag", "next")
    assert history.problems() == []
    history.commit(EVE, ANNA, OTTO, A, B, EVE)
    assert "eve@x.org, whom only this commit itself adds" in history.problems("next")[0]


def test_case_does_not_make_another_admin() -> None:
    before, after = f"Anna@X.org {KEY}\n", f"anna@x.org {KEY}\n"
    assert list(changed_admins(before.encode(), after.encode())) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", HONEST, [f"{ANNA}: warning: becomes an admin"]),
        (HONEST, f"{HONEST}eve@x.org {KEY}\n", ["eve@x.org: warning: becomes an admin"]),
        (HONEST, f"{HONEST}b@node.lab {KEY}\n", []),
        (f"{HONEST}b@node.lab {KEY}\n", f"{HONEST}b@x.org {KEY}\n", ["b@x.org: warning: becomes an admin"]),
        (HONEST, f"{ANNA} {KEY}\n", [f"{ANNA}: warning: becomes", f"{ANNA}: warning: is no longer an admin"]),
        (f'{ANNA} valid-before="20200101Z" {KEY}\n', f"{ANNA} {KEY}\n", [f"{ANNA}: warning: is an admin with the key"]),
        (HONEST, HONEST.replace(ANNA, "eve@x.org"), ["eve@x.org: warning: is an admin with the key"]),
        (HONEST, f"# comment\n{HONEST}", []),
    ],
)
def test_every_key_that_gains_or_loses_an_admins_rights_is_named(before: str, after: str, said: list[str]) -> None:
    found = [str(one) for one in changed_admins(before.encode(), after.encode())]
    assert len(found) == len(said)
    for one, words in zip(found, said, strict=True):
        assert one.startswith(f"allowed_signers:{words}")
        assert "SHA256:" in one


@pytest.fixture
def added(tmp_path: Path) -> History:
    """A clone whose newest commit makes eve an admin."""
    history = begun(tmp_path)
    for name in "ab":
        public = {"a": "A" * 42 + "E=", "b": "A" * 42 + "I="}[name]
        number = "12"["ab".index(name)]
        text = f'public_key = "{public}"\naddresses = ["10.0.0.{number}"]\nendpoint = "{name}.example:1"\n'
        history.write(f"peers/{name}.toml", text)
    history.commit(ANNA)
    history.commit(ANNA, ANNA, OTTO, A, B, EVE)
    return history


NEW = f"allowed_signers:{EVE}: warning: becomes an admin, who may change everything, with the key ssh-ed25519 SHA256:"


def test_a_review_sees_a_new_admin(added: History) -> None:
    assert NEW in mesh_sync("check", added.place, "--since", "HEAD~1").fine()
    first = mesh_sync("check", added.place, "--since", "0" * 40).fine()
    assert NEW in first
    assert f"{ANNA}: warning: becomes an admin" in first
    planned = mesh_sync("plan", "-C", added.place).fine()
    assert NEW in planned
    assert "no node would change" in planned
    shown = json.loads(mesh_sync("plan", "-C", added.place, "--json").fine())
    assert [one["key"] for one in shown["admins"]] == [EVE]
    assert NEW not in mesh_sync("check", added.place).fine(), "it is committed, and nothing tells what was pushed"


def test_the_one_who_pushes_sees_a_new_admin(added: History, tmp_path: Path) -> None:
    added.git("clone", "-q", "--bare", str(added.place), str(tmp_path / "host"))
    added.git("clone", "-q", str(tmp_path / "host"), str(tmp_path / "other"))
    other = tmp_path / "other"
    assert "admin, who may" not in mesh_sync("check", other).fine()
    file = other / "allowed_signers"
    file.write_text("".join(one for one in file.read_text().splitlines(True) if EVE not in one))
    gone = f"allowed_signers:{EVE}: warning: is no longer an admin"
    assert gone in mesh_sync("check", other).fine()
    assert gone in mesh_sync("signer", "list", "-C", other).err
    added.place = other
    added.commit(ANNA, ANNA, OTTO, A, B)
    assert gone in mesh_sync("check", other).fine(), "until it is pushed"
    added.git("push", "-q", "origin", "HEAD:main")
    assert gone not in mesh_sync("check", other).fine()
