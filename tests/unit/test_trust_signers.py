"""Whose signature counts: that of keys which were allowed before, are allowed still, and are good now."""

from __future__ import annotations

import pytest

from mesh_sync.errors import ConfigError
from unit.judging_node import ADMIN, NODE_A, NODE_B, OTHER, SignedMesh, accepts, applied, back, refused

STRANGER, NEW = "eve@example.org", "nina@example.org"


def sh(mesh: SignedMesh, script: str) -> str:
    """What a shell script prints in the working copy."""
    return mesh.operator.run(["sh", "-ec", f"cd {mesh.work}\n{script}"]).stdout.strip()


def fingerprint(mesh: SignedMesh, who: str) -> str:
    return sh(mesh, f"ssh-keygen -lf {mesh.home}/signers/{who}.pub").split()[1]


def test_an_unknown_key(signed: SignedMesh) -> None:
    signed.sign_as(STRANGER)
    bad = signed.push()
    key = fingerprint(signed, STRANGER)
    assert refused(signed, bad) == f"commit {bad[:10]} is signed by a key that is not in allowed_signers ({key})"
    accepts(back(signed))


def test_a_key_that_was_removed_before(signed: SignedMesh) -> None:
    signed.allow(ADMIN, NODE_A, NODE_B)
    accepts(signed)
    signed.sign_as(OTHER)
    bad = signed.push()
    assert refused(signed, bad).startswith(f"commit {bad[:10]} is signed by a key that is not in allowed_signers")
    accepts(back(signed))


def test_a_key_that_is_removed_in_the_same_push(signed: SignedMesh) -> None:
    signed.allow(ADMIN, NODE_A, NODE_B)
    gone = signed.commit("otto leaves")
    signed.sign_as(OTHER)
    bad = signed.push()
    text = f"commit {bad[:10]} is signed by {OTHER}, whose key is not in allowed_signers at commit {gone[:10]}"
    assert refused(signed, bad) == text
    accepts(back(signed, gone))


def test_a_key_that_was_removed_on_the_main_line_signs_no_side_branch(signed: SignedMesh) -> None:
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


def test_a_key_that_is_added_in_the_same_push_counts_from_the_next_run_on(signed: SignedMesh) -> None:
    """So a node that was away for long is not locked out: it catches up run by run."""
    signed.allow(ADMIN, NEW)
    adding = signed.commit("nina comes")
    signed.sign_as(NEW)
    bad = signed.push()
    text = f"commit {bad[:10]} is signed by {NEW}, whom commit {adding[:10]} adds: that counts from the next run on"
    assert refused(signed, bad) == text
    applied(signed, bad)
    accepts(signed)


def test_a_commit_that_adds_its_own_key(signed: SignedMesh) -> None:
    signed.allow(ADMIN, STRANGER)
    signed.sign_as(STRANGER)
    bad = signed.push()
    text = f"commit {bad[:10]} is signed by {STRANGER}, whom only this commit itself adds"
    assert refused(signed, bad) == text
    assert refused(signed, bad) == text, "nor in the run after"
    accepts(back(signed))


def test_an_expired_key_that_dates_its_commit_back(signed: SignedMesh) -> None:
    """git judges a key by the date of the commit, which whoever signs has chosen."""
    lines = signed.line(ADMIN) + signed.line(OTHER, 'valid-before="20240101Z"')
    signed.edit("allowed_signers", lines)
    accepts(signed)
    signed.sign_as(OTHER)
    dated = "2023-06-01T12:00:00Z"
    script = f"GIT_COMMITTER_DATE={dated} git -c gpg.format=ssh -c user.signingKey={signed.home}/signers/{OTHER} "
    sh(signed, f"{script} commit -q -S --allow-empty --date {dated} -m 'long ago'")
    bad = signed.git("rev-parse", "HEAD")
    sh(signed, "git show -s --format=%G? >/dev/null")
    signed.publish()
    assert refused(signed, bad) == f"commit {bad[:10]} is signed by {OTHER}, whose key expired at 20240101Z"
    accepts(back(signed))


def test_a_signature_for_something_else(signed: SignedMesh) -> None:
    """A signature that the same key has made of the same text, but of a file and not of a commit."""
    bad = crafted(signed, f"ssh-keygen -q -Y sign -n file -f {signed.home}/signers/{ADMIN}")
    assert refused(signed, bad) == f"commit {bad[:10]} has a signature made for 'file', not for git"
    accepts(back(signed))


def test_a_signature_of_another_commit(signed: SignedMesh) -> None:
    script = "sed -n '/^gpgsig /,/^ -----END/p' | sed 's/^gpgsig //; s/^ //'"
    bad = crafted(signed, f"git cat-file commit HEAD | {script}")
    assert refused(signed, bad) == f"commit {bad[:10]} has a signature that does not match it"
    accepts(back(signed))


def crafted(mesh: SignedMesh, signing: str) -> str:
    """Push a commit with the signature that a shell command makes of it; return it."""
    script = f"""git -c commit.gpgSign=false commit -q --allow-empty -m crafted
        git cat-file commit HEAD >.git/plain; git reset -q --soft HEAD^
        {{ {signing}; }} <.git/plain >.git/signature
        sed '1s/^/gpgsig /; 1!s/^/ /' .git/signature >.git/header
        {{ sed '/^$/,$d' .git/plain; cat .git/header; sed -n '/^$/,$p' .git/plain; }} >.git/signed
        commit=$(git hash-object -t commit -w .git/signed)
        git reset -q --hard $commit && git push -q {mesh.url} HEAD:main"""
    sh(mesh, script)
    return mesh.git("rev-parse", "HEAD")


def test_a_list_that_leaves_nobody_who_could_sign(signed: SignedMesh) -> None:
    """The next commit may put it right: what the list was before goes on until then."""
    signed.allow(NODE_A, NODE_B)
    bad = signed.push()
    text = f"commit {bad[:10]} leaves no admin with a valid key in allowed_signers: correct the list"
    assert refused(signed, bad) == text
    (signed.folder / "allowed_signers").unlink()
    bad = signed.push()
    assert refused(signed, bad).endswith("correct the list")
    signed.allow(ADMIN, OTHER)
    accepts(signed)


def test_root_begins_trust_anew_when_nobody_is_left(signed: SignedMesh) -> None:
    """Every admin's key is lost: root's own file says whom to trust from now on."""
    signed.allow(NEW)
    signed.sign_as(NEW)
    bad = signed.push()
    refused(signed, bad)
    signed.trust(NEW)
    applied(signed, bad)


def test_a_refused_push_that_another_takes_the_place_of(signed: SignedMesh) -> None:
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


KINDS = {"PGP SIGNATURE": "OpenPGP", "SIGNED MESSAGE": "X.509", "NOTHING": "an unknown kind"}


@pytest.mark.parametrize(("begin", "kind"), KINDS.items())
def test_a_signature_of_another_kind(signed: SignedMesh, begin: str, kind: str) -> None:
    bad = crafted(signed, f"printf '%s\\n' '-----BEGIN {begin}-----' '' aaaa '-----END {begin}-----'")
    assert refused(signed, bad) == f"commit {bad[:10]} has a signature of {kind}; only SSH signatures count"
    accepts(back(signed))


SPOILT = {
    "rm -f": "cannot be read: No such file or directory",
    "chmod 666": "must be a regular file that root owns and only root may write",
    "echo 'x@y ssh-ed25519 AAAA' >": "'x@y' has no SSH public key",
}


@pytest.mark.parametrize(("spoil", "said"), SPOILT.items())
def test_a_node_without_a_file_of_its_own_trusts_nobody(signed: SignedMesh, spoil: str, said: str) -> None:
    before = signed.state.applied.commit
    sh(signed, f"{spoil} {signed.own}/allowed_signers")
    signed.push()
    verdict = signed.look()
    assert isinstance(verdict.problem, ConfigError)
    assert said in verdict.problem.message
    assert signed.state.applied.commit == before
