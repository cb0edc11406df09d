"""Each kind of key makes numbers; a number that is written in another way, with the same meaning, does not count."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh_sync.trust.signature import SSH, UNTOUCHED, UNUSUAL, read
from mesh_sync.trust.sshsig import is_shortest
from unit.signed_commit import Signed, blob, with_blob
from unit.software_keys import (
    ORDER,
    SK_ECDSA,
    Ed25519,
    Rsa,
    SecurityEcdsa,
    line,
    number,
    signed,
    string,
    to_sign,
)
from unit.software_keys import blob as sealed

CURVE_ORDERS = {
    "256": ORDER,
    "384": 2**384 - 2**192 + 0xC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "521": 2**521 - 2**260 + 0xA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
}


@pytest.fixture
def repository(tmp_path: Path) -> Signed:
    """For keys of the test's own."""
    return Signed(tmp_path, "")


def payload(repository: Signed, message: str = "one") -> bytes:
    """What there is to sign."""
    repository.git("commit", "-q", "--allow-empty", "-m", message)
    return repository.git("cat-file", "commit", "HEAD")


def parts(data: bytes) -> list[bytes]:
    found = []
    while data:
        length = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


def with_numbers(commit: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
    """The commit, with other numbers in its ECDSA signature."""
    key, namespace, _, hash_, proof = parts(blob(commit)[10:])
    kind, numbers = parts(proof)
    return with_blob(commit, sealed(key, string(kind) + string(change(*parts(numbers))), namespace, hash_))


@pytest.mark.parametrize("bits", CURVE_ORDERS)
def test_an_ecdsa_signature_has_one_spelling_but_for_its_negative(tmp_path: Path, bits: str) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", bits, "-N", "", "-f", key], check=True)
    repository = Signed(tmp_path, "")
    repository.allow(" ".join(key.with_name("key.pub").read_text().split()[:2]))
    repository.git("-c", f"user.signingKey={key}", "commit", "-q", "-S", "--allow-empty", "-m", "one")
    commit = repository.git("cat-file", "commit", "HEAD")
    spellings = [
        lambda r, s: string(b"\0" + r) + string(s),
        lambda r, s: string(r) + string(b"\0" + s),
        lambda r, s: string(b"\0" + r) + string(b"\0" + s),
        lambda r, s: string(b"\0\0\0" + r) + string(s),
    ]
    assert repository.counts(with_numbers(commit, lambda r, s: string(r) + string(s)))
    for change in spellings:
        other = with_numbers(commit, change)
        assert repository.verifies(other), "git takes it: nothing else would stop it"
        assert read(other).kind == UNUSUAL
    for change in (
        lambda r, s: string(r) + string(s) + string(s),
        lambda r, s: string(r),
        lambda r, s: string(r) + b"\0",
    ):
        assert read(with_numbers(commit, change)).kind == UNUSUAL or not read(with_numbers(commit, change)).key
    order = CURVE_ORDERS[bits]
    negative = with_numbers(commit, lambda r, s: string(r) + number(order - int.from_bytes(s, "big")))
    assert negative != commit
    assert repository.counts(negative), "no rule can tell which of the two its owner has made"
    assert read(negative).signed == read(commit).signed, "but it is the same commit"


@pytest.mark.parametrize("bits", [*range(1, 18), 255, 256])
def test_a_number_is_as_long_as_ssh_writes_it(bits: int) -> None:
    for value in (2 ** (bits - 1), 2**bits - 1):
        written = number(value)[4:]
        assert is_shortest(written)
        assert not is_shortest(b"\0" + written)
        assert not is_shortest(written[1:]) or written[0]


def test_rsa_signs_in_one_length_below_its_modulus(repository: Signed, tmp_path: Path) -> None:
    key = Rsa.made(tmp_path / "rsa")
    repository.allow(line(key.public))
    room = 2 ** (8 * key.size) - key.modulus
    for attempt in range(1000):
        text = payload(repository, f"message {attempt}")
        made = key.raw(to_sign(text), "sha512")
        if made < room:
            break
    commit = signed(text, sealed(key.public, key.proof(to_sign(text))))
    assert repository.counts(commit)
    larger = (made + key.modulus).to_bytes(key.size, "big")
    for written in (larger, b"\0" + made.to_bytes(key.size, "big"), made.to_bytes(key.size, "big")[1:]):
        other = signed(text, sealed(key.public, string(b"rsa-sha2-512") + string(written)))
        assert read(other).kind == UNUSUAL


def test_an_rsa_number_without_its_leading_zero(repository: Signed, tmp_path: Path) -> None:
    """One signature in 256 begins with one, and OpenSSH takes it without."""
    key = Rsa.made(tmp_path / "rsa")
    repository.allow(line(key.public))
    text = payload(repository)
    attempts = (text + b"%d\n" % attempt for attempt in range(10_000))
    text = next(text for text in attempts if key.raw(to_sign(text), "sha512") < 2 ** (8 * key.size - 8))
    proof = key.proof(to_sign(text))
    assert repository.counts(signed(text, sealed(key.public, proof)))
    shorter = signed(text, sealed(key.public, string(b"rsa-sha2-512") + string(proof[-key.size + 1 :])))
    assert repository.verifies(shorter), "git takes it: nothing else would stop it"
    assert read(shorter).kind == UNUSUAL


def test_rsa_with_sha_1_does_not_sign(repository: Signed, tmp_path: Path) -> None:
    key = Rsa.made(tmp_path / "rsa")
    repository.allow(line(key.public))
    text = payload(repository)
    for name, hash_, expected in (("rsa-sha2-256", "sha256", True), ("ssh-rsa", "sha1", False)):
        for named in (b"sha256", b"sha512"):
            proof = key.proof(to_sign(text, hash=named), name, hash_)
            commit = signed(text, sealed(key.public, proof, hash=named))
            assert repository.verifies(commit) == repository.counts(commit) == expected
    assert read(commit).kind == UNUSUAL
    for name in ("rsa-sha2-256", "ssh-rsa"):  # as another algorithm than it was made with
        commit = signed(text, sealed(key.public, key.proof(to_sign(text), name, "sha512")))
        assert not repository.verifies(commit)
        assert not repository.counts(commit)


def test_a_hash_that_is_named_otherwise_does_not(repository: Signed) -> None:
    """The name is signed too; MD5 and SHA-1 are never taken."""
    key = Ed25519()
    repository.allow(line(key.public))
    text = payload(repository)
    for made, said in ((b"sha512", b"sha256"), (b"sha256", b"sha512"), (b"sha1", b"sha1"), (b"sha512", b"SHA512")):
        commit = signed(text, sealed(key.public, key.proof(to_sign(text, hash=made)), hash=said))
        assert not repository.verifies(commit)
        assert not repository.counts(commit)
    commit = signed(text, sealed(key.public, key.proof(to_sign(text, hash=b"sha256")), hash=b"sha256"))
    assert repository.counts_here(commit)
    assert repository.verifies(commit)


@pytest.mark.parametrize("key", [Ed25519(security=True), SecurityEcdsa()], ids=["ed25519", "ecdsa"])
def test_a_security_key_signs_with_what_its_authenticator_adds(
    repository: Signed, key: Ed25519 | SecurityEcdsa
) -> None:
    repository.allow(line(key.public))
    text = payload(repository)
    proof = key.proof(to_sign(text))
    commit = signed(text, sealed(key.public, proof))
    assert repository.verifies(commit)
    assert repository.counts(commit)
    assert not repository.counts_here(commit), "git verifies it"
    for other in (proof[:-5] + b"\5" + proof[-4:], proof[:-1] + b"\x08"):  # other flags, another counter
        twin = signed(text, sealed(key.public, other))
        assert not repository.verifies(twin)
        assert not repository.counts(twin)
    for other in (proof + b"\0", proof[:-1], proof + string(b"x")):
        assert read(signed(text, sealed(key.public, other))).kind == UNUSUAL


@pytest.mark.parametrize("key", [Ed25519(security=True, flags=0), SecurityEcdsa(flags=0)], ids=["ed25519", "ecdsa"])
def test_a_security_key_that_nobody_touched_does_not_count(repository: Signed, key: Ed25519 | SecurityEcdsa) -> None:
    repository.allow(line(key.public))
    text = payload(repository)
    commit = signed(text, sealed(key.public, key.proof(to_sign(text))))
    assert repository.verifies(commit), "git does not ask for a touch"
    assert read(commit).kind == UNTOUCHED
    assert not repository.counts(commit)


def test_what_a_browser_has_a_security_key_sign_does_not_count(repository: Signed) -> None:
    key = SecurityEcdsa()
    repository.allow(line(key.public))
    text = payload(repository)
    commit = signed(text, sealed(key.public, key.proof_of_browser(to_sign(text))))
    assert repository.verifies(commit), "OpenSSH takes it; its text could be made by any page that the key serves"
    assert read(commit).kind == UNUSUAL


def test_the_numbers_of_a_security_key_have_one_spelling(repository: Signed) -> None:
    key = SecurityEcdsa()
    repository.allow(line(key.public))
    text = payload(repository)
    proof = key.proof(to_sign(text))
    r, s = parts(parts(proof[:-5])[1])
    padded = string(SK_ECDSA) + string(string(b"\0" + r) + string(s)) + proof[-5:]
    twin = signed(text, sealed(key.public, padded))
    assert repository.verifies(twin), "git takes it: nothing else would stop it"
    assert read(twin).kind == UNUSUAL


def test_more_than_the_numbers_of_ed25519_does_not_count(repository: Signed) -> None:
    key = Ed25519()
    repository.allow(line(key.public))
    text = payload(repository)
    proof = key.proof(to_sign(text))
    assert repository.counts_here(signed(text, sealed(key.public, proof)))
    short = proof[:-65] + b"\x3f" + proof[-64:-1]
    renamed = [string(name) + proof[-68:] for name in (b"ssh-rsa", b"sk-ssh-ed25519@openssh.com", b"")]
    longer = string(b"ssh-ed25519") + string(proof[-64:] + b"\0")
    for other in (proof + b"\0", proof + string(b""), short, longer, *renamed):
        commit = signed(text, sealed(key.public, other))
        assert not repository.verifies(commit)
        assert read(commit).kind == UNUSUAL


def test_a_name_with_a_nul_at_its_end_does_not_count(repository: Signed) -> None:
    """OpenSSH reads it as the same name."""
    key = Ed25519()
    repository.allow(line(key.public))
    text = payload(repository)
    proof = key.proof(to_sign(text))
    twins = [
        sealed(key.public, string(b"ssh-ed25519\0") + proof[-68:]),
        sealed(key.public, proof, namespace=b"git\0"),
        sealed(key.public, proof, hash=b"sha512\0"),
        sealed(string(b"ssh-ed25519\0") + key.public[-36:], proof),
    ]
    for twin in (signed(text, data) for data in twins):
        assert repository.verifies(twin), "git takes it: nothing else would stop it"
        assert not repository.counts(twin)


def test_the_key_of_the_test_signs_as_ssh_keygen_does(tmp_path: Path) -> None:
    """Ed25519 leaves nothing to choose, so that its signatures are the same."""
    repository = Signed(tmp_path, "ed25519")
    text = re.sub(r"-----.*", "", (tmp_path / "key").read_text())
    seed = base64.b64decode(text).split(b"\0\0\0\x40")[1][:32]
    key = Ed25519(seed)
    assert line(key.public) == repository.public
    unsigned = repository.payload(repository.commit)
    assert signed(unsigned, sealed(key.public, key.proof(to_sign(unsigned)))) == repository.commit
    assert read(repository.commit).kind == SSH
