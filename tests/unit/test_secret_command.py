"""`mesh-sync secret`: a mesh moves from one secret to the next, and no secret is ever shown or committed."""

from __future__ import annotations

import base64
import json
import stat
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import git
import pytest

from command import Ended, mesh_sync
from mesh_sync.preshared import derive, sealed
from mesh_sync.preshared.derive import Secrets, pair_key
from mesh_sync.preshared.sealed_box import opened
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import keys
from unit.git_identity import as_alice


class Operator:
    """A mesh of two nodes and a phone, its working copy, and a file for its secret."""

    def __init__(self, place: Path) -> None:
        self.mesh, self.file, self.said = place / "mesh", place / "mesh.secret", ""
        mesh_sync("init", self.mesh).fine()
        self.private = {name: keys.generate() for name in ("aws", "azure", "phone")}
        for number, name in enumerate(("aws", "azure"), start=1):
            self.add(name, "--endpoint", f"203.0.113.{number}:51820")
        self.add("phone", "--unmanaged", "--via", "aws")

    def add(self, name: str, *words: object) -> None:
        key = self.private.setdefault(name, keys.generate())
        public = keys.public_key(key)
        mesh_sync("peer", "add", name, "--public-key", public, *words, "-C", self.mesh, "--commit").fine()

    def secret(self, *words: object) -> Ended:
        ended = mesh_sync("secret", *words, "-C", self.mesh)
        self.said += ended.out + ended.err
        return ended

    def with_file(self, verb: str, *words: object) -> Ended:
        return self.secret(verb, "--secret-file", self.file, *words)

    def opened(self, name: str) -> Secrets:
        """What a node can open."""
        return opened(sealed.read((self.mesh / f"secrets/{name}.toml").read_bytes()), self.private[name])

    @property
    def held(self) -> Secrets:
        return derive.parse(self.file.read_text())

    @property
    def declared(self) -> dict[str, object]:
        found = tomllib.loads((self.mesh / "mesh.toml").read_text())
        return {key: found.get(key) for key in ("preshared_keys", "preshared")}

    def check(self) -> list[str]:
        ended = mesh_sync("check", self.mesh, "--json")
        return [f"{f['severity']} {f['file']}:{f['key']}: {f['message']}" for f in json.loads(ended.out)["findings"]]

    def sealed_to(self) -> set[str]:
        return {path.stem for path in (self.mesh / "secrets").glob("*.toml")}


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    as_alice(monkeypatch)
    return Operator(tmp_path)


@pytest.fixture
def derived(operator: Operator) -> Operator:
    """The same with preshared keys, and nothing left to move from."""
    operator.with_file("new", "--commit").fine()
    operator.secret("retire", "--force", "--commit").fine()
    return operator


def test_a_first_secret_is_sealed_to_every_managed_peer_and_kept_private(operator: Operator) -> None:
    assert "; next: git -C " in operator.with_file("new", "--commit", "--at", "2030-01-01T00:00:00Z").fine()
    assert stat.S_IMODE(operator.file.stat().st_mode) == 0o600
    assert operator.sealed_to() == {"aws", "azure"}
    assert operator.opened("aws") == operator.opened("azure") == operator.held
    use = {"secret": 1, "former": 0, "since": tomllib.loads("a=2030-01-01T00:00:00Z")["a"]}
    assert operator.declared == {"preshared_keys": "derived", "preshared": use}
    assert operator.check() == []
    assert not git.Repo(operator.mesh).is_dirty(untracked_files=True)
    assert "rotate" in operator.with_file("new").err


def test_a_rotation_keeps_the_former_secret_until_it_is_retired(derived: Operator) -> None:
    first = derived.held.by_id[1]
    derived.with_file("rotate").fine()
    assert derived.opened("aws") == derived.held
    assert sorted(derived.held.by_id) == [1, 2]
    assert derived.held.by_id[1] == first != derived.held.by_id[2]
    assert derived.check() == []
    assert "mesh-sync secret retire -C " in derived.with_file("rotate").err
    derived.secret("retire", "--force").fine()
    assert sorted(derived.opened("azure").by_id) == [2]
    assert derived.declared["preshared"] == {"secret": 2}
    assert "nothing was written" in derived.secret("retire", "--force").fine()


def test_a_former_secret_is_not_given_up_while_pairs_still_move(derived: Operator) -> None:
    derived.with_file("rotate", "--at", ago(minutes=5)).fine()
    ended = derived.secret("retire")
    assert ended.code == 1
    assert "would lose their tunnels" in ended.err
    assert "--force" in ended.err
    assert derived.with_file("rotate").code == 2, "which would drop it, too"
    assert sorted(derived.opened("aws").by_id) == [1, 2]
    derived.secret("retire", "--force").fine()
    derived.with_file("rotate", "--at", ago(minutes=7)).fine()
    derived.secret("retire").fine()
    assert sorted(derived.opened("aws").by_id) == [3]


def ago(*, minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="seconds")


def test_who_leaves_before_a_rotation_gets_nothing_of_it(derived: Operator) -> None:
    (derived.mesh / "peers/azure.toml").unlink()
    assert derived.check() == ["warning secrets/azure.toml:: there is no peer azure; remove this file"]
    derived.with_file("rotate").fine()
    assert derived.sealed_to() == {"aws"}
    assert derived.check() == []


def test_a_new_peer_or_key_is_named_by_the_check_and_sealed_to_by_seal(derived: Operator) -> None:
    derived.add("gcp", "--endpoint", "203.0.113.3:51820")
    derived.private["azure"] = keys.generate()
    moved = keys.public_key(derived.private["azure"])
    mesh_sync("peer", "set", "azure", "--public-key", moved, "-C", derived.mesh).fine()
    before = (derived.mesh / "secrets/aws.toml").read_bytes()
    way = "run `mesh-sync secret seal`, or give {0} a mesh_secret_file"
    assert derived.check() == [
        "warning secrets/azure.toml:public_key: is no longer the key of azure: " + way.format("azure"),
        "warning secrets/gcp.toml:: the mesh secret 1 is not sealed to gcp: " + way.format("gcp"),
    ]
    key_file = derived.file.with_name("aws.key")
    write_atomically(key_file, derived.private["aws"] + "\n")
    derived.secret("seal", "--private-key-file", key_file).fine()
    assert derived.opened("gcp") == derived.opened("azure") == derived.held
    assert (derived.mesh / "secrets/aws.toml").read_bytes() == before, "a good box stays"
    assert derived.check() == []
    assert "nothing was written" in derived.with_file("seal").fine()


def test_who_is_disabled_gets_nothing_of_a_rotation(derived: Operator) -> None:
    mesh_sync("peer", "set", "azure", "--disabled", "-C", derived.mesh).fine()
    derived.with_file("rotate").fine()
    assert derived.sealed_to() == {"aws"}
    assert derived.check() == []


def test_peer_add_and_remove_see_to_the_secret_or_say_how(derived: Operator) -> None:
    public = keys.public_key(derived.private.setdefault("gcp", keys.generate()))
    add = ("peer", "add", "gcp", "--public-key", public, "--endpoint", "203.0.113.3:51820", "-C", derived.mesh)
    remove = ("peer", "remove", "gcp", "-C", derived.mesh)
    assert "mesh-sync secret seal" in mesh_sync(*add).fine()
    assert "mesh-sync secret rotate" in mesh_sync(*remove).fine()
    mesh_sync(*add, "--secret-file", derived.file).fine()
    assert derived.opened("gcp") == derived.held
    removed = mesh_sync(*remove, "--secret-file", derived.file)
    assert "gcp.toml is removed, and secrets/gcp.toml" in removed.fine()
    assert "there is no peer gcp" not in removed.err, "it is about to be mended"
    assert derived.sealed_to() == {"aws", "azure"}
    assert sorted(derived.opened("aws").by_id) == [1, 2]


def test_nothing_is_done_by_halves_when_the_secret_cannot_be_seen_to(derived: Operator) -> None:
    public = keys.public_key(keys.generate())
    add = ("peer", "add", "gcp", "--public-key", public, "--endpoint", "203.0.113.3:51820", "-C", derived.mesh)
    refused = mesh_sync(*add, "--secret-file", derived.file.with_name("none"))
    assert (refused.code, (derived.mesh / "peers/gcp.toml").exists()) == (2, False)
    derived.with_file("rotate").fine()
    refused = mesh_sync("peer", "remove", "azure", "-C", derived.mesh, "--secret-file", derived.file)
    assert (refused.code, "still moving" in refused.err) == (2, True)
    assert (derived.mesh / "peers/azure.toml").exists()


def test_out_of_band_nothing_is_sealed_and_nothing_is_missed(operator: Operator) -> None:
    operator.with_file("new", "--out-of-band").fine()
    operator.secret("retire", "--force").fine()
    operator.with_file("rotate").fine()
    assert operator.sealed_to() == set()
    assert operator.check() == []
    copy = operator.file.with_name("copy")
    operator.with_file("show", "-o", copy).fine()
    assert derive.parse(copy.read_text()) == operator.held
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_going_back_has_an_overlap_too(derived: Operator) -> None:
    derived.secret("off").fine()
    assert derived.check() == []
    preshared_now = derived.declared["preshared"]
    assert isinstance(preshared_now, dict)
    assert (preshared_now["secret"], preshared_now["former"]) == (0, 1)
    derived.secret("retire", "--force").fine()
    assert derived.declared == {"preshared_keys": "none", "preshared": None}
    assert derived.sealed_to() == set()
    assert "secret new" in derived.secret("off").err
    derived.with_file("new").fine()
    assert sorted(derived.held.by_id) == [1, 2], "an id is never used twice"


def test_the_secret_is_never_said(derived: Operator) -> None:
    derived.with_file("rotate").fine()
    derived.secret("show").fine()
    derived.with_file("seal").fine()
    for secret in derived.held.by_id.values():
        text = base64.b64encode(secret).decode()
        assert text not in derived.said
        assert all(text.encode() not in path.read_bytes() for path in derived.mesh.rglob("*") if path.is_file())


def test_a_secret_that_was_committed_by_mistake_is_an_error(derived: Operator) -> None:
    config = mesh_sync("export", "phone", "-C", derived.mesh, "--secret-file", derived.file).fine()
    (derived.mesh / "phone.conf").write_text(config)
    (derived.mesh / "mesh.secret").write_text(derived.file.read_text())
    says = "contains a preshared key or mesh secret; remove it and rotate the secret"
    assert derived.check() == [f"error {file}:: {says}" for file in ("mesh.secret", "phone.conf")]


def test_show_says_who_has_what(derived: Operator) -> None:
    derived.add("gcp", "--endpoint", "203.0.113.3:51820")
    lines = derived.secret("show").fine().splitlines()
    assert lines == [
        "preshared keys come from secret 1", "  aws: has 1", "  azure: has 1", "  gcp: nothing is sealed to it"
    ]  # fmt: skip


def test_an_exported_config_has_the_key_of_the_pair_and_none_is_made_without_it(derived: Operator) -> None:
    ended = mesh_sync("export", "phone", "-C", derived.mesh)
    assert ended.code == 2
    assert "--secret-file" in ended.err
    line = f"PresharedKey = {pair_key(derived.held.by_id[1], 'aws', 'phone')}\n"
    text = mesh_sync("export", "phone", "-C", derived.mesh, "--secret-file", derived.file).fine()
    assert line in text
    there = mesh_sync("render", derived.mesh, "--node", "aws", "--secret-file", derived.file).fine()
    assert line in there
    inside = mesh_sync(
        "export", "phone", "-C", derived.mesh, "--secret-file", derived.file, "-o", derived.mesh / "x.conf"
    )
    assert "inside the mesh repository" in inside.err


def test_every_change_of_the_secret_says_whose_config_has_to_be_exported_again(operator: Operator) -> None:
    again = "to be exported again before `mesh-sync secret retire`, they have {} until then: phone\n"
    lost = "what was exported before the last change no longer connects; where that is not done, export again: phone\n"
    operator.add("old-tablet", "--unmanaged", "--via", "aws", "--disabled")
    assert again.format("no preshared key") in operator.with_file("new").err
    assert lost in operator.secret("retire", "--force").err
    before = mesh_sync("export", "phone", "-C", operator.mesh, "--secret-file", operator.file).fine()
    assert again.format("the former preshared key") in operator.with_file("rotate").err
    after = mesh_sync("export", "phone", "-C", operator.mesh, "--secret-file", operator.file).fine()
    psk = f"PresharedKey = {pair_key(operator.held.by_id[2], 'aws', 'phone')}\n"
    assert (psk in before, psk in after) == (False, True), "the newer one, also before the former is retired"
    assert "export" not in operator.with_file("seal").err
    operator.secret("retire", "--force").fine()
    assert again.format("the former preshared key") in operator.secret("off").err
    assert lost in operator.secret("retire", "--force").err
    assert "PresharedKey" not in mesh_sync("export", "phone", "-C", operator.mesh).fine()


@pytest.mark.parametrize("name", ["phone.conf", "phone.png", "phone.svg"])
def test_a_file_with_the_key_of_a_pair_is_for_its_owner_only(derived: Operator, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    mesh_sync("export", "phone", "-C", derived.mesh, "--secret-file", derived.file, "-o", file).fine()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_change_of_the_list_says_whose_config_it_concerns(derived: Operator) -> None:
    derived.with_file("rotate", "--commit").fine()
    planned = json.loads(mesh_sync("plan", "HEAD~1..HEAD", "-C", derived.mesh, "--json").fine())["nodes"]
    texts = [change["text"] for change in planned["phone"]]
    assert texts == [
        "peer aws: preshared key changed",
        "does not follow the list: `mesh-sync export phone` makes its new config",
    ]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda o: o.file.chmod(0o644), "is readable by other users"),
        (lambda o: o.file.unlink(), "does not exist"),
        (lambda o: o.file.write_text("1 c2hvcnQ=\n"), "line 1 is not an id and a secret (32 bytes of base64)"),
        (lambda o: o.file.write_text(derive.text(Secrets({7: bytes(32)}))), "does not have secret 1"),
    ],
)
def test_a_secret_file_that_is_no_good(derived: Operator, spoil: object, says: str) -> None:
    assert callable(spoil)
    spoil(derived)
    ended = derived.with_file("rotate")
    assert ended.code == 2
    assert says in ended.err


def test_a_secret_file_inside_the_repository_is_refused(operator: Operator) -> None:
    operator.file = operator.mesh / "mesh.secret"
    assert "is inside the mesh repository" in operator.with_file("new").err
    assert not operator.file.exists()


@pytest.mark.parametrize(
    ("table", "finding"),
    [
        ("", 'preshared_keys: "derived" needs a [preshared] table, which `mesh-sync secret new` writes'),
        ("secret=0", 'preshared.secret: 0 means no secret; set preshared_keys = "none" instead'),
        ("secret=1\nformer=1", "preshared.former: is the secret in use"),
        ("secret=2\nformer=1", "preshared.since: is missing; it says when pairs leave the former secret"),
    ],
)
def test_what_mesh_toml_says_has_to_make_sense(operator: Operator, table: str, finding: str) -> None:
    file = operator.mesh / "mesh.toml"
    text = 'format=1\nname="m"\nnetworks=["10.0.0.0/24"]\npreshared_keys="derived"\n'
    file.write_text(text + (f"[preshared]\n{table}\n" if table else ""))
    assert operator.check() == [f"error mesh.toml:{finding}"]


def test_what_is_no_sealed_secret_is_an_error(derived: Operator) -> None:
    file = derived.mesh / "secrets/aws.toml"
    file.write_text(f'public_key = "{keys.public_key(derived.private["aws"])}"\ncolour = 1\n[sealed]\n1 = "AAAA"\n')
    assert derived.check() == [
        "error secrets/aws.toml:colour: unknown key",
        "error secrets/aws.toml:sealed.1: is not a sealed secret (80 bytes of base64)",
    ]
