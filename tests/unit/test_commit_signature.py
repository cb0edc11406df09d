"""What this program finds signed, git finds signed; and the bytes that it looks at are the bytes that git looks at."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import signers
from mesh_sync.trust.authorization import Commit, Untrusted
from mesh_sync.trust.commit_signature import is_signed
from mesh_sync.trust.signature import read
from unit.signed_commit import GitIsAsked, NoGit, Signed
from unit.software_keys import BEGIN, END, Ed25519, blob, line, signed, string, to_sign

KEY = Ed25519()
TREE = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
AUTHOR, COMMITTER = b"author a <a@x.org> 1700000000 +0000\n", b"committer c <c@x.org> 1700000000 +0000\n"
PAYLOAD = TREE + AUTHOR + COMMITTER + b"\none\n\nmore\n"
TAG = (
    b"mergetag object " + b"1" * 40 + b"\n type commit\n tag v1\n tagger t <t@x.org> 1 +0000\n \n v1\n " + BEGIN + b"\n"
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Where the test's key may sign."""
    made = Signed(tmp_path_factory.mktemp("repository"), "")
    made.allow(line(KEY.public))
    return made


def sealed(payload: bytes) -> bytes:
    """A commit that is rightly signed."""
    return signed(payload, blob(KEY.public, KEY.proof(to_sign(payload))))


def head(*lines: bytes, message: bytes = b"\none\n") -> bytes:
    """What there is to sign, with other headers than usual."""
    return b"".join(lines) + message


DECIDED_HERE = {
    "as git writes it": PAYLOAD,
    "another encoding": head(TREE, AUTHOR, COMMITTER, b"encoding ISO-8859-1\n", message=b"\n\xe4\xf6\n"),
    "a merged tag, with a signature of its own": head(TREE, AUTHOR, COMMITTER, TAG),
    "a header of another program": head(TREE, AUTHOR, COMMITTER, b"HG:extra x\n"),
    "a header that is continued": head(TREE, AUTHOR, COMMITTER, b"extra x\n y\n  \n"),
    "a NUL in the message": head(TREE, AUTHOR, COMMITTER, message=b"\none\0two\n"),
    "no message": head(TREE, AUTHOR, COMMITTER, message=b"\n"),
    "an empty line more": head(TREE, AUTHOR, COMMITTER, message=b"\n\n\none"),
    "two committers": head(TREE, AUTHOR, COMMITTER, b"committer d <d@x.org> 5 +0000\n"),
    "a message that looks like headers": head(TREE, AUTHOR, COMMITTER, message=b"\ngpgsig x\n y\n\ngpgsig-sha256 z"),
    "a line break of DOS in the message": head(TREE, AUTHOR, COMMITTER, message=b"\none\r\n\r\n"),
    "a text that is no UTF-8": head(TREE, AUTHOR, b"committer \xff <\xfe> 1700000000 +0000\n"),
}
LEFT_TO_GIT = {
    "the headers in another order": head(TREE, COMMITTER, AUTHOR),
    "no tree": head(AUTHOR, COMMITTER),
    "a header before the tree": head(b"extra x\n", TREE, AUTHOR, COMMITTER),
    "a parent that is none": head(TREE, b"parent x\n", AUTHOR, COMMITTER),
    "a parent further down": head(TREE, AUTHOR, b"parent " + b"1" * 40 + b"\n", COMMITTER),
    "a NUL in a header after the committer": head(TREE, AUTHOR, COMMITTER, b"extra x\0y\n"),
    "a NUL in the name of the committer": head(TREE, AUTHOR, b"committer c\0d <c@x.org> 1700000000 +0000\n"),
    "a NUL before the committer": head(TREE, b"author a\0b <a@x.org> 1700000000 +0000\n", COMMITTER),
    "no committer": head(TREE, AUTHOR),
    "a committer without a date": head(TREE, AUTHOR, b"committer c <c@x.org>\n"),
    "a committer without an address": head(TREE, AUTHOR, b"committer c 1700000000 +0000\n"),
    "a date before 1970": head(TREE, AUTHOR, b"committer c <c@x.org> -5 +0000\n"),
    "a date beyond all measure": head(TREE, AUTHOR, b"committer c <c@x.org> 99999999999999999999 +0000\n"),
    "the first second of 1970": head(TREE, AUTHOR, b"committer c <c@x.org> 0 +0000\n"),
    "more than one address": head(TREE, AUTHOR, b"committer c <c@x.org> <d@x.org> 1700000000 +0000\n"),
    "a line break of DOS in a header": head(TREE, AUTHOR, b"committer c <c@x.org> 1700000000 +0000\r\n"),
    "a committer that is continued": head(TREE, AUTHOR, b"committer c\n <c@x.org> 1700000000 +0000\n"),
}


@pytest.mark.parametrize("payload", DECIDED_HERE.values(), ids=DECIDED_HERE)
def test_what_is_decided_here_is_what_git_decides(repository: Signed, payload: bytes) -> None:
    commit = sealed(payload)
    assert repository.counts_here(commit)
    assert repository.counts(commit, second_opinion=True)
    for other in (commit.replace(b"a@x.org", b"b@x.org"), commit + b" ", commit.replace(TREE, TREE + AUTHOR)):
        assert not repository.counts(other)
        assert not repository.verifies(other)


@pytest.mark.parametrize("payload", LEFT_TO_GIT.values(), ids=LEFT_TO_GIT)
def test_what_git_may_see_otherwise_is_left_to_git(repository: Signed, payload: bytes) -> None:
    commit = sealed(payload)
    assert not repository.counts_here(commit)
    assert repository.counts(commit) == repository.verifies(commit)


def test_a_signature_for_something_else_does_not_count(repository: Signed) -> None:
    lines = signers.parse((repository.place / "allowed").read_bytes())[0].entries
    for namespace in (b"file", b"", b"git\0", b"GIT"):
        commit = signed(PAYLOAD, blob(KEY.public, KEY.proof(to_sign(PAYLOAD, namespace)), namespace))
        renamed = signed(PAYLOAD, blob(KEY.public, KEY.proof(to_sign(PAYLOAD, namespace))))
        assert not repository.counts(commit)
        assert not repository.counts(renamed)
        assert not repository.verifies(commit)
        assert not repository.verifies(renamed)
        for other in (commit, renamed):
            with pytest.raises(GitIsAsked):
                is_signed(NoGit(repository.place), Commit(repository.write(other), (), read(other)), lines)


def test_the_signature_of_another_key_does_not_count(repository: Signed) -> None:
    other = Ed25519()
    for proof in (other.proof(to_sign(PAYLOAD)), KEY.proof(b"SSHSIG" + PAYLOAD)):
        commit = signed(PAYLOAD, blob(KEY.public, proof))
        assert not repository.counts(commit)
        assert not repository.verifies(commit)


def test_a_key_that_everybody_can_sign_for_does_not_count(repository: Signed) -> None:
    """A point of small order as a public key fits every message; OpenSSH refuses only one of the eight."""
    known, taken = repository.public, 0
    try:
        for point in ("00" * 32, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "01" + "00" * 31):
            public = string(b"ssh-ed25519") + string(bytes.fromhex(point))
            repository.allow(line(public))
            for attempt in range(4):
                text = PAYLOAD + b"%d" % attempt
                for first in ("01" + "00" * 31, point):
                    number = bytes.fromhex(first) + bytes(32)
                    commit = signed(text, blob(public, string(b"ssh-ed25519") + string(number)))
                    assert not repository.counts_here(commit)
                    if repository.verifies(commit):
                        taken += 1
                        with pytest.raises(Untrusted, match="is signed to git only"):
                            repository.counts(commit)
        assert taken, "git takes some of them: nothing else would stop it"
    finally:
        repository.allow(known)


def test_git_has_to_agree_on_the_head(repository: Signed) -> None:
    """Here it does not, with an object that is not what its name says."""
    lines = signers.parse((repository.place / "allowed").read_bytes())[0].entries
    commit = sealed(PAYLOAD + b"for git to agree on\n")
    assert repository.counts(commit, second_opinion=True)
    name, other = repository.write(commit), repository.write(PAYLOAD)
    files = [repository.place / ".git/objects" / found[:2] / found[2:] for found in (name, other)]
    objects, asked = GitObjects(repository.place / ".git"), Commit(name, (), read(commit))
    files[0].unlink()
    files[1].rename(files[0])
    assert is_signed(objects, asked, lines)
    with pytest.raises(Untrusted, match="is signed to mesh-sync only"):
        is_signed(objects, asked, lines, second_opinion=True)
    with pytest.raises(GitIsAsked):
        is_signed(NoGit(repository.place), Commit(other, (), read(commit)), lines)


@pytest.mark.parametrize("days", [-30, -1, 0, 1, 30])
@pytest.mark.parametrize("option", ["valid-before", "valid-after"])
def test_a_line_that_is_limited_is_good_for_the_same_dates(repository: Signed, option: str, days: int) -> None:
    limit = datetime.fromtimestamp(1700000000, UTC) + timedelta(days=days)
    known = repository.public
    commit = sealed(PAYLOAD)
    try:
        for zone in ("Z", ""):
            repository.allow(known, f'namespaces="git",{option}="{limit:%Y%m%d%H%M%S}{zone}"')
            assert (
                repository.counts(commit)
                == repository.verifies(commit)
                == ((days >= 0) == (option == "valid-before") or days == 0)
            )
            assert repository.counts_here(commit) == (abs(days) == 30 and (days > 0) == (option == "valid-before"))
    finally:
        repository.allow(known)


def test_a_certificate_does_not_count(tmp_path: Path) -> None:
    """Of a key that may sign, or of an authority that may: its signature is not that of the key."""
    repository = Signed(tmp_path, "ed25519")
    for words in (("-t", "ed25519", "-N", "", "-f", "ca"), ("-s", "ca", "-I", "x", "-n", "anna@x.org", "key")):
        subprocess.run(["ssh-keygen", "-q", *words], check=True, cwd=tmp_path)
    certificate = tmp_path / "key-cert.pub"
    repository.git("-c", f"user.signingKey={certificate}", "commit", "-q", "-S", "--allow-empty", "-m", "two")
    commit = repository.git("cat-file", "commit", "HEAD")
    assert read(commit).key.startswith("ssh-ed25519-cert-v01@openssh.com ")
    assert not repository.verifies(commit), "the key that is certified is in the list"
    assert not repository.counts(commit)
    authority = (tmp_path / "ca.pub").read_text()
    (tmp_path / "allowed").write_text(f"anna@x.org cert-authority {authority}")
    assert repository.verifies(commit), "git takes it for its authority"
    repository.public = " ".join(certificate.read_text().split()[:2])
    assert not repository.counts(commit), "no line has an authority"


def test_a_signed_tag_that_is_merged_is_part_of_what_is_signed(tmp_path: Path) -> None:
    """git copies the whole tag into a header of the merge."""
    repository = Signed(tmp_path, "ed25519")
    key = ("-c", f"user.signingKey={tmp_path / 'key'}")
    repository.git("checkout", "-q", "-b", "side")
    repository.git(*key, "commit", "-q", "-S", "--allow-empty", "-m", "two")
    repository.git(*key, "tag", "-s", "-m", "v1", "v1")
    repository.git("checkout", "-q", "-")
    repository.git(*key, "merge", "-q", "--no-ff", "-S", "-m", "merge", "v1")
    commit = repository.git("cat-file", "commit", "HEAD")
    assert b"\nmergetag object " in commit
    assert repository.counts_here(commit)
    assert repository.counts(commit, second_opinion=True)
    for other in (commit.replace(b"\n tag v1\n", b"\n tag v2\n"), commit.replace(b"\n v1\n", b"\n v1\n gpgsig x\n")):
        assert other != commit
        assert not repository.counts(other)
        assert not repository.verifies(other)


LINES = st.sampled_from([
    b"gpgsig x\n", b"gpgsig-sha256 x\n", b"gpgsigx\n", b"gpgsig\n", b" continued\n", b" \n", b"encoding latin-1\n", TAG,
    b"committer m <m> 5 +0000\n", b"committer \n", b"committer\n", b"author m <m> 5 +0000\n", b"extra y\n", b"\0\n",
    b"extra x\0\n", b"parent " + b"1" * 40 + b"\n", b"\n", b"\r\n", b"gpgsig " + BEGIN + b"\n " + END + b"\n",
])  # fmt: skip
PIECES = st.sampled_from(
    [b"\0", b"\r", b"\n", b"\n\n", b" ", b"<", b">", b"0", b"-", b"gpgsig ", b"\ngpgsig ", b"\xff"]
)


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[str, float, bytes]]:
    """What happens to a commit: a line more, twice, less or elsewhere, a piece more, the end gone."""
    kinds = st.sampled_from(["line", "twice", "less", "move", "piece", "cut"])
    place = st.floats(0, 1, exclude_max=True)
    return [(draw(kinds), draw(place), draw(LINES | PIECES)) for _ in range(draw(st.integers(0, 3)))]


def mutated(data: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for kind, place, new in changes:
        lines = data.splitlines(keepends=True) or [b""]
        where = int(place * min(len(lines), 24))
        at = int(place * len(data))
        if kind == "line":
            lines.insert(where, new)
        elif kind == "twice":
            lines.insert(where, lines[where])
        elif kind == "less":
            lines.pop(where)
        elif kind == "move":
            lines.insert(len(new) % len(lines), lines.pop(where))
        data = b"".join(lines)
        if kind == "piece":
            data = data[:at] + new + data[at:]
        elif kind == "cut":
            data = data[: at + 1]
    return data


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=mutations(), after=mutations())
@example(before=[], after=[("line", 0.2, b"gpgsig-sha256 x\n")])
@example(before=[("piece", 0.5, b"\0")], after=[])
def test_nothing_counts_that_git_does_not_take(
    repository: Signed, before: list[tuple[str, float, bytes]], after: list[tuple[str, float, bytes]]
) -> None:
    """However a commit is changed before it is signed, and after. Less may count: `test_signature.py`."""
    payload = mutated(PAYLOAD, before)
    commit = mutated(sealed(payload), after)
    to_git = repository.verifies(commit)
    assert repository.counts_here(commit) <= to_git
    assert repository.counts(commit) <= to_git
    if to_git and not repository.counts(commit):
        assert read(commit).kind != "SSH" or not read(commit).key, "a form that does not count"
