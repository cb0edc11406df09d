"""Signatures as git and ssh-keygen write them count; what anybody could make of them without the key does not."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh_sync.trust.signature import SSH, UNUSUAL, read

KINDS = ("ed25519", "ecdsa", "rsa")
ORDER = 2**252 + 27742317777372353535851937790883648493
BEGIN, END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"


class Signed:
    """A repository with a commit that a key of some kind has signed."""

    def __init__(self, place: Path, kind: str) -> None:
        self.place = place
        key = place / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True)
        self.public = " ".join(key.with_name("key.pub").read_text().split()[:2])
        (place / "allowed").write_text(f"anna@x.org {self.public}\n")
        self.git("init", "-q")
        self.git("-c", f"user.signingKey={key}", "commit", "-q", "-S", "--allow-empty", "-m", "one\n\nmore")
        self.commit = self.git("cat-file", "commit", "HEAD")

    def git(self, *words: str, input: bytes = b"") -> bytes:
        who = ["-c", "user.name=n", "-c", "user.email=n@x.org", "-c", "gpg.format=ssh"]
        file = f"gpg.ssh.allowedSignersFile={self.place / 'allowed'}"
        argv = ["git", "-C", str(self.place), *who, "-c", file, *words]
        return subprocess.run(argv, check=True, capture_output=True, input=input).stdout

    def payload(self, commit: bytes) -> bytes:
        """What git takes for signed, in a commit that has a signature of any kind."""
        name = self.git("hash-object", "-t", "commit", "-w", "--stdin", input=commit).decode().strip()
        argv = ["git", "-C", str(self.place), "verify-commit", "--verbose", name]
        return subprocess.run(argv, capture_output=True).stdout

    def verifies(self, commit: bytes) -> bool:
        """Whether git takes another commit object for signed."""
        name = self.git("hash-object", "-t", "commit", "-w", "--stdin", input=commit).decode().strip()
        try:
            self.git("verify-commit", name)
        except subprocess.CalledProcessError:
            return False
        return True


@pytest.fixture(scope="module", params=KINDS)
def signed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return Signed(tmp_path_factory.mktemp("signed"), request.param)


@pytest.fixture(scope="module")
def ed25519(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return Signed(tmp_path_factory.mktemp("signed"), "ed25519")


def said(commit: bytes) -> tuple[str, str, str]:
    """The kind, key and namespace that are read of a commit."""
    found = read(commit)
    return found.kind, found.key, found.namespace


def blob(commit: bytes) -> bytes:
    return base64.b64decode(commit.partition(BEGIN)[2].partition(END)[0])


def wrapped(data: bytes, columns: int = 70) -> bytes:
    text = base64.b64encode(data)
    return b"".join(b" " + text[start : start + columns] + b"\n" for start in range(0, len(text), columns))


def with_blob(commit: bytes, data: bytes, columns: int = 70) -> bytes:
    before, _, rest = commit.partition(BEGIN)
    return before + BEGIN + b"\n" + wrapped(data, columns) + b" " + END + rest.partition(END)[2]


def moved_up(commit: bytes) -> bytes:
    start = commit.index(b"gpgsig ")
    end = commit.index(END) + len(END) + 1
    author = commit.index(b"author ")
    return commit[:author] + commit[start:end] + commit[author:start] + commit[end:]


def with_reserved(commit: bytes) -> bytes:
    namespace = b"\0\0\0\3git"
    return with_blob(commit, blob(commit).replace(namespace + b"\0\0\0\0", namespace + b"\0\0\0\1x"))


def with_order(commit: bytes) -> bytes:
    data = blob(commit)
    number = int.from_bytes(data[-32:], "little") + ORDER
    return with_blob(commit, data[:-32] + number.to_bytes(32, "little"))


TWINS: dict[str, Callable[[bytes], bytes]] = {
    "a second header": lambda commit: commit.replace(b"\n\n", b"\ngpgsig junk\n\n", 1),
    "a header of SHA-256": lambda commit: commit.replace(b"\n\n", b"\ngpgsig-sha256 x\n y\n\n", 1),
    "that header in front": lambda commit: commit.replace(b"gpgsig ", b"gpgsig-sha256 x\ngpgsig ", 1),
    "a header that only begins so": lambda commit: commit.replace(b"\n\n", b"\ngpgsigx y\n\n", 1),
    "a header that stands elsewhere": moved_up,
    "one line": lambda commit: with_blob(commit, blob(commit), 1000),
    "76 columns": lambda commit: with_blob(commit, blob(commit), 76),
    "an empty line": lambda commit: commit.replace(b"\n " + END, b"\n \n " + END),
    "text after it": lambda commit: commit.replace(END, END + b"\n text"),
    "a reserved field": with_reserved,
}


def test_what_git_and_ssh_keygen_write_counts(signed: Signed) -> None:
    assert said(signed.commit) == (SSH, signed.public, "git")
    assert with_blob(signed.commit, blob(signed.commit)) == signed.commit
    assert signed.verifies(signed.commit)


@pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS)
def test_another_commit_with_the_same_signature_does_not(signed: Signed, twin: Callable[[bytes], bytes]) -> None:
    other = twin(signed.commit)
    assert other != signed.commit
    assert signed.verifies(other), "git takes it: nothing else would stop it"
    found = read(other)
    assert found.kind == UNUSUAL or not found.key
    assert found.signed == read(signed.commit).signed, "to whoever signed it, it is the same commit"


def test_what_is_signed_is_what_git_takes_for_it(signed: Signed) -> None:
    twins = [twin(signed.commit) for twin in TWINS.values()]
    for commit in (signed.commit, signed.commit.replace(b"\n\none", b"\n\ntwo"), *twins):
        payload = signed.payload(commit)
        assert b"tree " in payload
        assert read(commit).signed == hashlib.sha256(payload).hexdigest()


def test_a_commit_that_ends_in_its_signature_is_cut_where_git_cuts_it(ed25519: Signed) -> None:
    """Without a message, or even a line break after the last header."""
    head = ed25519.commit.partition(b"\n\n")[0]
    for commit in (head, head + b"\n", head + b"\n\n", head + b"\ngpgsig-sha256 x"):
        assert read(commit).signed == hashlib.sha256(ed25519.payload(commit)).hexdigest()


def test_a_number_that_is_written_larger_does_not(ed25519: Signed) -> None:
    other = with_order(ed25519.commit)
    assert read(other).kind == UNUSUAL


def test_what_follows_the_last_string_does_not(signed: Signed) -> None:
    other = with_blob(signed.commit, blob(signed.commit) + b"\0\0\0\0")
    assert read(other).kind == UNUSUAL
    assert said(with_blob(signed.commit, blob(signed.commit) + b"\0")) == (SSH, "", ""), "nor can it be read"


def test_an_rsa_number_without_its_leading_zero_does_not(tmp_path: Path) -> None:
    """One signature in 256 begins with a zero; here the length alone is another."""
    signed = Signed(tmp_path, "rsa")
    data = blob(signed.commit)
    place = data.rindex(b"rsa-sha2-512")
    number = data[place + 16 :]
    inner = b"\0\0\0\x0crsa-sha2-512" + (len(number) - 1).to_bytes(4, "big") + number[1:]
    shorter = data[: place - 8] + len(inner).to_bytes(4, "big") + inner
    assert read(with_blob(signed.commit, shorter)).kind == UNUSUAL


def test_a_commit_without_one_and_one_that_is_no_ssh_signature(ed25519: Signed) -> None:
    start, end = ed25519.commit.index(b"gpgsig "), ed25519.commit.index(END) + len(END) + 1
    unsigned = ed25519.commit[:start] + ed25519.commit[end:]
    assert said(unsigned) == ("", "", "")
    assert read(unsigned).signed == hashlib.sha256(unsigned).hexdigest() == read(ed25519.commit).signed
    assert read(ed25519.commit.replace(b"SSH SIGNATURE", b"PGP SIGNATURE")).kind == "OpenPGP"
    assert said(with_blob(ed25519.commit, b"nothing of SSH")) == (SSH, "", "")
