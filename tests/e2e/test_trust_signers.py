"""Whose signature counts: that of keys which were allowed before, are allowed still, and are good now."""

from __future__ import annotations

import shlex

import pytest

from e2e.signed_mesh import ADMIN, NODE_A, NODE_B, OTHER, accepts, back, refused, sh
from lab.mesh import WORK, Mesh, now, now_json, status

pytestmark = pytest.mark.e2e

STRANGER, NEW = "eve@example.org", "nina@example.org"
SIGNER_FILES = "/run/home/signers"


def fingerprint(mesh: Mesh, who: str) -> str:
    return sh(mesh.operator, f"ssh-keygen -lf {SIGNER_FILES}/{who}.pub").split()[1]


def test_an_unknown_key(signed: Mesh) -> None:
    signed.sign_as(STRANGER)
    bad = signed.push()
    key = fingerprint(signed, STRANGER)
    assert refused(signed, bad) == f"commit {bad[:10]} is signed by a key that is not in allowed_signers ({key})"
    accepts(back(signed))


def test_a_key_that_was_removed_before(signed: Mesh) -> None:
    signed.allow(ADMIN, NODE_A, NODE_B)
    accepts(signed)
    signed.sign_as(OTHER)
    bad = signed.push()
    assert refused(signed, bad).startswith(f"commit {bad[:10]} is signed by a key that is not in allowed_signers")
    accepts(back(signed))


def test_a_key_that_is_removed_in_the_same_push(signed: Mesh) -> None:
    signed.allow(ADMIN, NODE_A, NODE_B)
    gone = signed.commit("otto leaves")
    signed.sign_as(OTHER)
    bad = signed.push()
    text = f"commit {bad[:10]} is signed with the key of {OTHER}, which commit {gone[:10]} has not"
    assert refused(signed, bad) == text
    accepts(back(signed, gone))


def test_a_key_that_was_removed_on_the_main_line_signs_no_side_branch(signed: Mesh) -> None:
    signed.git("branch", "-f", "side")
    signed.allow(ADMIN, NODE_A, NODE_B)
    accepts(signed)
    signed.git("checkout", "-q", "side")
    signed.sign_as(OTHER)
    bad = signed.commit("from before")
    signed.git("checkout", "-q", "main")
    signed.sign_as(ADMIN)
    signed.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    head = signed.push()
    assert refused(signed, head).startswith(f"commit {bad[:10]} is signed by a key that is not in allowed_signers")
    accepts(back(signed))


def test_a_key_that_is_added_in_the_same_push_counts_from_the_next_run_on(signed: Mesh) -> None:
    """So a node that was away for long is not locked out: it catches up run by run."""
    signed.allow(ADMIN, NEW)
    adding = signed.commit("nina comes")
    signed.sign_as(NEW)
    bad = signed.push()
    text = f"commit {bad[:10]} is signed by {NEW}, whom commit {adding[:10]} adds only now"
    assert refused(signed, bad) == f"{text}: that counts from the next run on"
    found = now_json(signed.nodes["a"])
    assert (found["result"], found["commit"]) == ("in-sync", bad)
    accepts(signed)


def test_a_commit_that_adds_its_own_key(signed: Mesh) -> None:
    signed.allow(ADMIN, STRANGER)
    signed.sign_as(STRANGER)
    bad = signed.push()
    text = f"commit {bad[:10]} is signed by {STRANGER}, whom nothing but this commit itself adds"
    assert refused(signed, bad) == text
    assert refused(signed, bad) == text, "nor in the run after"
    accepts(back(signed))


def test_an_expired_key_that_dates_its_commit_back(signed: Mesh) -> None:
    """git judges a key by the date of the commit, which whoever signs has chosen."""
    lines = signed.line(ADMIN) + signed.line(OTHER, 'valid-before="20240101Z"')
    signed.edit("allowed_signers", lines)
    accepts(signed)
    signed.sign_as(OTHER)
    dated = "2023-06-01T12:00:00Z"
    script = f"GIT_COMMITTER_DATE={dated} git -c gpg.format=ssh -c user.signingKey={SIGNER_FILES}/{OTHER} "
    sh(signed.operator, f"cd {WORK}; {script} commit -q -S --allow-empty --date {dated} -m 'long ago'")
    bad = signed.git("rev-parse", "HEAD")
    sh(signed.operator, f"cd {WORK}; git show -s --format=%G? >/dev/null")
    signed.publish()
    assert refused(signed, bad) == f"commit {bad[:10]} is signed by {OTHER}, whose key was good until 20240101Z only"
    accepts(back(signed))


def test_a_signature_for_something_else(signed: Mesh) -> None:
    """A signature that the same key has made of the same text, but of a file and not of a commit."""
    bad = crafted(signed, f"ssh-keygen -q -Y sign -n file -f {SIGNER_FILES}/{ADMIN}")
    assert refused(signed, bad) == f"commit {bad[:10]} has a signature made for 'file', not for git"
    accepts(back(signed))


def test_a_signature_of_another_commit(signed: Mesh) -> None:
    script = "sed -n '/^gpgsig /,/^ -----END/p' | sed 's/^gpgsig //; s/^ //'"
    bad = crafted(signed, f"git cat-file commit HEAD | {script}")
    assert refused(signed, bad) == f"commit {bad[:10]} has a signature that does not fit it"
    accepts(back(signed))


@pytest.mark.parametrize(
    ("begin", "kind"), [("PGP SIGNATURE", "OpenPGP"), ("SIGNED MESSAGE", "X.509"), ("NOTHING", "an unknown kind")]
)
def test_a_signature_that_the_keyring_of_root_would_vouch_for(signed: Mesh, begin: str, kind: str) -> None:
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
        bad = crafted(signed, f"printf '%s\\n' '-----BEGIN {begin}-----' '' aaaa '-----END {begin}-----'")
        text = f"commit {bad[:10]} has a signature of {kind}; only those of SSH keys count"
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


def test_a_list_that_leaves_nobody_who_could_sign(signed: Mesh) -> None:
    """The next commit may put it right: what the list was before goes on until then."""
    signed.allow(NODE_A, NODE_B)
    bad = signed.push()
    text = f"commit {bad[:10]} leaves no admin in allowed_signers whose key is good: put the list right"
    assert refused(signed, bad) == text
    (signed.operator.path(WORK) / "allowed_signers").unlink()
    bad = signed.push()
    assert refused(signed, bad).endswith("put the list right")
    signed.allow(ADMIN, OTHER)
    accepts(signed)


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


def test_a_refused_push_that_another_takes_the_place_of(signed: Mesh) -> None:
    """Its good part is verified already; what that has revoked stays revoked."""
    good = signed.git("rev-parse", "HEAD")
    signed.allow(ADMIN, NODE_A, NODE_B)
    signed.commit("otto leaves")
    signed.sign_as(None)
    bad = signed.push()
    refused(signed, bad)
    back(signed, good)
    signed.sign_as(OTHER)
    bad = signed.commit("otto stays")
    signed.publish(force=True)
    assert refused(signed, bad).startswith(f"commit {bad[:10]} is signed by {OTHER}, whose key was removed")
    back(signed, good).allow(ADMIN, NODE_A, NODE_B)  # a list that still has otto brings him back no more
    accepts(signed)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("rm -f", "cannot be read: No such file or directory"),
        ("chmod 666", "must be a plain file that belongs to root and that nobody else may write"),
        ("echo 'x@y ssh-ed25519 AAAA' >", "'x@y' has no SSH public key"),
    ],
)
def test_a_node_without_a_file_of_its_own_trusts_nobody(signed: Mesh, spoil: str, said: str) -> None:
    a = signed.nodes["a"]
    file = "/etc/mesh-sync/allowed_signers"
    applied = status(a)["commit"]
    sh(a, f"{spoil} {shlex.quote(file)}")
    signed.push()
    done = now(a, exit_code=2)
    assert said in done.stderr
    assert status(a)["commit"] == applied
