"""Lines of `allowed_signers` that ssh-keygen does not take are errors: a list of them would lock everybody out."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from mesh_sync.trust.signers import parse

WHO = "anna@x.org"
TYPES = {"ed25519": (), "ecdsa": ("-b", "256"), "ecdsa384": ("-b", "384"), "ecdsa521": ("-b", "521"), "rsa": ()}


def made(place: Path, name: str) -> list[str]:
    """A new key's type and its base64."""
    words = ["ssh-keygen", "-q", "-t", name.rstrip("0123456789") if "ecdsa" in name else name, *TYPES[name]]
    subprocess.run([*words, "-N", "", "-f", place / name], check=True)
    return (place / f"{name}.pub").read_text().split()[:2]


class Signature:
    """What a key has signed, for ssh-keygen to verify with a list."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.key = " ".join(made(place, "ed25519"))
        (place / "text").write_text("text")
        argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(place / "ed25519"), str(place / "text")]
        subprocess.run(argv, check=True, capture_output=True)

    def verifies(self, line: str) -> bool:
        """Whether ssh-keygen takes the line for one that allows this signature."""
        file = self.place / "allowed"
        file.write_text(line + "\n")
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(file), "-I", WHO, "-n", "git", "-s", f"{file.parent}/text.sig"]
        with (self.place / "text").open() as text:
            return subprocess.run(argv, stdin=text, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def signature(tmp_path_factory: pytest.TempPathFactory) -> Signature:
    return Signature(tmp_path_factory.mktemp("signature"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    place = tmp_path_factory.mktemp("keys")
    return {name: made(place, name) for name in TYPES}


def problems(line: str) -> list[str]:
    return [str(finding) for finding in parse(f"{line}\n".encode())[1]]


@pytest.mark.parametrize(
    "options",
    [
        "",
        'namespaces="git"',
        'namespaces="file,git"',
        'valid-after="20200101Z"',
        'valid-after="19700102Z",valid-before="20900101120000Z"',
        'namespaces="git",valid-before="209001011200utc"',
    ],
)
def test_a_line_that_is_taken_is_one_that_ssh_keygen_takes(signature: Signature, options: str) -> None:
    line = f"{WHO} {options} {signature.key}"
    assert problems(line) == []
    assert signature.verifies(line)


@pytest.mark.parametrize(
    "options",
    [
        'namespaces="git",',
        'namespaces="git",namespaces="git"',
        'valid-before="20900101Z",valid-before="20910101Z"',
        'valid-after="20200101Z",valid-after="20210101Z"',
        'namespaces="git,!git"',
        'namespaces="!file"',
        'valid-after="16000101Z"',
        'valid-after="19691231Z"',
        'valid-after="19700101Z"',
        'valid-after="20210101Z",valid-before="20200101Z"',
        'valid-before="20200101Z",valid-after="20200101Z"',
        'namespaces="git\\"',
        'valid-before="20901301Z"',
        "cert-authority",
    ],
)
def test_what_ssh_keygen_does_not_take_is_an_error(signature: Signature, options: str) -> None:
    line = f"{WHO} {options} {signature.key}"
    assert not signature.verifies(line)
    assert len(problems(line)) == 1


def test_a_pattern_hides_what_is_meant(signature: Signature) -> None:
    assert problems(f'{WHO} namespaces="git,f*" {signature.key}')
    assert problems(f'{WHO} namespaces="git,?" {signature.key}')


def is_key_to_ssh_keygen(place: Path, kind: str, blob: bytes) -> bool:
    file = place / "key.pub"
    file.write_text(f"{kind} {base64.b64encode(blob).decode()}\n")
    return subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True).returncode == 0


@pytest.mark.parametrize("name", TYPES)
def test_a_key_is_whole_or_is_none(tmp_path: Path, keys: dict[str, list[str]], name: str) -> None:
    kind, encoded = keys[name]
    blob = base64.b64decode(encoded)
    assert problems(f"{WHO} {kind} {encoded}") == []
    assert is_key_to_ssh_keygen(tmp_path, kind, blob)
    for wrong in (blob[:-1], blob[:-6], blob + b"\0", blob + b"\0\0\0\0", blob[: len(kind) + 8]):
        assert not is_key_to_ssh_keygen(tmp_path, kind, wrong)
        assert problems(f"{WHO} {kind} {base64.b64encode(wrong).decode()}")


def string(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@pytest.mark.parametrize(
    ("kind", "parts", "whole"),
    [
        ("ssh-ed25519", [bytes(31)], False),
        ("ssh-ed25519", [bytes(33)], False),
        ("ssh-ed25519@openssh.com", [bytes(32)], False),
        ("sk-ssh-ed25519@openssh.com", [bytes(32), b"ssh:"], True),
        ("sk-ssh-ed25519@openssh.com", [bytes(32)], False),
        ("sk-ssh-ed25519", [bytes(32), b"ssh:"], False),
        ("ecdsa-sha2-nistp256", [b"nistp384", b"\4" + bytes(64)], False),
        ("ssh-rsa", [b"\1\0\1", b"\0\xff" + bytes(62) + b"\1"], False),
        ("ssh-rsa", [b"\1\0\1", b"\0\xff" + bytes(254) + b"\1"], True),
        ("ssh-rsa", [b"\1\0\1", b"\xff" + bytes(254) + b"\1"], False),
    ],
)
def test_a_key_that_somebody_writes_by_hand(tmp_path: Path, kind: str, parts: list[bytes], whole: bool) -> None:
    blob = string(kind.encode(), *parts)
    assert is_key_to_ssh_keygen(tmp_path, kind, blob) is whole
    assert (problems(f"{WHO} {kind} {base64.b64encode(blob).decode()}") == []) is whole
