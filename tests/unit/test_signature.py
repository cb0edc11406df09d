"""Signatures as git and ssh-keygen write them count; what anybody could make of them without the key does not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh_sync.trust.signature import SSH, UNUSUAL, read
from unit.signed_commit import Signed, blob, with_blob
from unit.software_keys import BEGIN, END

KINDS = ("ed25519", "ecdsa", "rsa")
ORDER = 2**252 + 27742317777372353535851937790883648493


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
    "spaces in it": lambda commit: commit.replace(BEGIN + b"\n U", BEGIN + b"\n  U"),
    "a line break of DOS": lambda commit: commit.replace(b"\n " + END, b"\r\n " + END),
    "text behind it": lambda commit: commit.replace(END, END + b" text"),
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
        assert not ed25519.counts(commit)


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
