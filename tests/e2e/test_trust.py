"""What a node that verifies signatures does with its remote's commits: it refuses, says why, and goes on as it was.

Which commits it refuses is told by tests/unit/test_trust_*.py; here, that the whole of `now` keeps to it.
"""

from __future__ import annotations

import pytest

from e2e.signed_mesh import ADMIN, NODE_B, OTHER, accepts, back, refused, sh
from lab.mesh import WORK, Mesh, dump, now, now_json, status
from lab.snapshot import whole
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

NEW = "nina@example.org"
KEY_FILE = "/etc/mesh-sync/private.key"


def test_signed_commits_are_applied(signed: Mesh) -> None:
    signed.commit("one")
    signed.sign_as(OTHER)
    signed.commit("two")
    accepts(signed)
    assert now_json(signed.nodes["a"])["result"] == "in-sync"


def test_an_unsigned_head(signed: Mesh) -> None:
    signed.sign_as(None)
    bad = signed.push()
    assert refused(signed, bad) == f"commit {bad[:10]} is not signed"
    accepts(back(signed))


def test_what_a_node_may_do(signed: Mesh) -> None:
    a = signed.nodes["a"]
    new = keys.public_key(keys.generate())
    signed.set("b", public_key=new, endpoint="203.0.113.99:4500", description="moved", listen_port=4500)
    signed.sign_as(NODE_B)
    commit = signed.push()
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("applied", commit)
    assert dump(a)[new]["endpoint"] == "203.0.113.99:4500"


def test_what_a_node_may_not_do(signed: Mesh) -> None:
    signed.set("b", subnets=["0.0.0.0/0"])
    signed.sign_as(NODE_B)
    bad = signed.push()
    assert (
        refused(signed, bad) == f"commit {bad[:10]} is signed by {NODE_B}, who may not change subnets in peers/b.toml"
    )
    accepts(back(signed))


def test_an_admins_commit_counts_although_a_node_has_pushed_an_error_on_top(signed: Mesh) -> None:
    a, guest = signed.nodes["a"], keys.public_key(keys.generate())
    signed.set("guest", public_key=guest, addresses=["10.0.0.77"], managed=False)
    good = signed.commit("a guest")
    signed.set("b", mtu=1)
    signed.sign_as(NODE_B)
    bad = signed.push()
    done = now(a, exit_code=4)
    assert f"commit {bad[:10]} has 1 error" in done.stderr
    assert guest in dump(a)
    assert status(a)["commit"] == good
    before = whole(a)
    assert f"commit {bad[:10]} has 1 error" in now(a, exit_code=4).stderr
    assert whole(a) == before
    signed.sign_as(ADMIN)
    back(signed, good).remove("guest")
    good = signed.push(force=True)
    assert now_json(a)["commit"] == good
    assert guest not in dump(a)


def test_root_begins_trust_anew_when_nobody_is_left(signed: Mesh) -> None:
    """Every admin's key is lost: root's own file says whom to trust from now on."""
    a = signed.nodes["a"]
    signed.allow(NEW)
    signed.sign_as(NEW)
    bad = signed.push()
    refused(signed, bad)
    signed.trust(a, NEW)
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("in-sync", bad)


def test_a_node_without_a_file_of_its_own_trusts_nobody(signed: Mesh) -> None:
    a = signed.nodes["a"]
    applied = status(a)["commit"]
    sh(a, "chmod 666 /etc/mesh-sync/allowed_signers")
    signed.push()
    done = now(a, exit_code=2)
    assert "must be a regular file that root owns and only root may write" in done.stderr
    assert status(a)["commit"] == applied


def test_a_signature_that_the_keyring_of_root_would_vouch_for(signed: Mesh) -> None:
    """Root's own git settings name a program that says yes to everything; it is not even asked."""
    a = signed.nodes["a"]
    yes = "/run/home/yes"
    a.path(yes).write_text(
        "#!/bin/sh\ntouch /run/home/asked\nprintf '\\n[GNUPG:] GOODSIG 1 x\\n[GNUPG:] TRUST_ULTIMATE\\n'\n"
    )
    a.path(yes).chmod(0o755)
    sh(
        a,
        f"export HOME=/run/home; for kind in openpgp x509 ssh; do git config --global gpg.$kind.program {yes}; done",
    )
    try:
        bad = crafted(signed, "printf '%s\\n' '-----BEGIN PGP SIGNATURE-----' '' aaaa '-----END PGP SIGNATURE-----'")
        text = f"commit {bad[:10]} has a signature of OpenPGP; only SSH signatures count"
        assert refused(signed, bad) == text
        accepts(back(signed))
        assert not a.path("/run/home/asked").exists()
    finally:
        a.path("/run/home/.gitconfig").unlink()


def crafted(mesh: Mesh, signing: str) -> str:
    """Push a commit with the signature that a shell command makes of it; return it."""
    script = f"""cd {WORK}
        git -c commit.gpgSign=false commit -q --allow-empty -m crafted
        git cat-file commit HEAD >.git/plain; git reset -q --soft HEAD^
        {{ {signing}; }} <.git/plain >.git/signature
        sed '1s/^/gpgsig /; 1!s/^/ /' .git/signature >.git/header
        {{ sed '/^$/,$d' .git/plain; cat .git/header; sed -n '/^$/,$p' .git/plain; }} >.git/signed
        commit=$(git hash-object -t commit -w .git/signed)
        git reset -q --hard $commit && git push -q {mesh.url} HEAD:main"""
    sh(mesh.operator, script)
    return mesh.git("rev-parse", "HEAD")


def test_an_old_state_on_a_second_remote(signed: Mesh) -> None:
    """The first remote is away, and the second was never told of what this node has applied."""
    a = signed.nodes["a"]
    old = signed.git("rev-parse", "HEAD")
    copy = "/run/home/old.git"
    sh(a, f"rm -rf {copy}; git clone -q --bare {signed.url} {copy}")
    newest = accepts(signed)
    signed.configure(a, repository={"urls": ["git://203.0.113.250/mesh.git", copy], "deadline": 6})
    assert "is older than" in refused(signed, old)
    signed.configure(a, repository={"urls": [signed.url]})
    found = now_json(a)
    assert (found["result"], found["commit"], status(a)["refused_commits"]) == ("in-sync", newest, [])
    accepts(signed)


def test_a_remote_that_hides_its_history(signed: Mesh) -> None:
    """A shallow clone has no past to verify; what was fetched shallow before signatures counted is fetched anew."""
    a = signed.nodes["a"]
    signed.sign_as(None)
    signed.commit("hidden")
    signed.sign_as(ADMIN)
    bad = signed.push()
    shallow, state = "/run/home/shallow.git", "/var/lib/mesh-sync/wg0"
    sh(a, f"rm -rf {shallow}; git clone -q --bare --depth 1 {signed.url} {shallow}")
    signed.configure(a, repository={"urls": [shallow]})
    said = refused(signed, bad)
    assert said == f"{shallow} has a shallow history, which cannot be verified"
    sh(a, f"rm -rf {state}/repo.git; cp -r {shallow} {state}/repo.git; chown -R root: {state}")
    signed.configure(a, repository={"urls": [signed.url]})
    assert refused(signed, bad).endswith("is not signed")
    assert not a.path(f"{state}/repo.git/shallow").exists()
    accepts(back(signed))


# -- what has to be meant


@pytest.mark.parametrize("mode", ["signed", "none"])
def test_another_key_of_this_node_is_refused_until_a_commit_says_that_it_is_meant(signed: Mesh, mode: str) -> None:
    """Root has put the new key in place; the list follows."""
    a = signed.nodes["a"]
    if mode == "none":
        signed.configure(a, trust={"mode": "none"})
        now(a)
    before, private = a.path(KEY_FILE).read_text(), keys.generate()
    signed.set("a", public_key=keys.public_key(private))
    a.path(KEY_FILE).write_text(private + "\n")
    try:
        bad = signed.push("a has another key")
        does = "gives a, this node, another public key than it announced"
        line = 'its message needs the line "Mesh-Allow: re-key a"'
        assert refused(signed, bad) == f"commit {bad[:10]} {does}; if that is intended, {line}"
        meant = signed.push("it was meant\n\nMesh-Allow: something-else\nMesh-Allow: re-key a")
        found = now_json(a)
        assert (found["result"], found["commit"], status(a)["refused_commits"]) == ("applied", meant, [])
        assert dump(a)[""]["public_key"] == keys.public_key(private)
    finally:
        a.path(KEY_FILE).write_text(before)


def test_a_node_that_was_let_go_reaches_nobody_and_can_come_back(signed: Mesh) -> None:
    a = signed.nodes["a"]
    before = whole(a)
    own = (signed.folder / "peers/a.toml").read_text()
    signed.remove("a")
    signed.push("a leaves\n\nMesh-Allow: remove a")
    now(a)
    assert list(dump(a)) == [""]
    links = sh(a, "ip -oneline -4 address show dev wg0; ip route show dev wg0").splitlines()
    assert len(links) == 1, "its address, and no route"
    assert "10.0.0.21/32" in links[0]
    signed.set("b", persistent_keepalive=12)
    signed.push("without a")
    assert now_json(a)["result"] == "in-sync"
    signed.edit("peers/a.toml", own)
    signed.set("b", persistent_keepalive=None)
    signed.push("a comes back")
    now(a)
    assert whole(a) == before


def test_a_copy_that_lost_what_is_applied_is_made_anew(signed: Mesh) -> None:
    sh(signed.nodes["a"], "find /var/lib/mesh-sync/wg0/repo.git/objects -type f -delete")
    signed.remove("b")
    assert 'needs the line "Mesh-Allow: empty-list"' in refused(signed, signed.push())
