"""The line of an invitation, its token, and what is said about it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.errors import ConfigError
from mesh_sync.invitation import answer, line, token
from mesh_sync.invitation.answer import Answer, Question, Request
from mesh_sync.invitation.line import Invitation
from mesh_sync.invitation.token import Keys
from mesh_sync.wireguard import keys

TOKEN = base64.b64encode(bytes(range(32))).decode()
KEYS = Keys(keys.public_key(keys.generate()), token.public_half(base64.b64encode(b"s" * 32).decode()))
INVITATION = Invitation(
    mesh="lab",
    name="home",
    url="ssh://meshgit@aws.example.org/srv/home.git",
    branch="main",
    host_keys=(KEYS.signing_key,),
    fingerprint="adc8-d389-52b7-503f-fb98-79ca-58f9-672e",
    token=TOKEN,
    until=1_800_000_000,
)


def test_a_line_says_what_was_written_and_no_shell_changes_it() -> None:
    written = line.written(INVITATION)
    assert line.read(written) == INVITATION
    assert line.is_line(written)
    assert subprocess.run(["sh", "-c", f"printf %s {written}"], capture_output=True, text=True).stdout == written


@given(st.data())
def test_a_line_that_was_changed_anywhere_is_none(data: st.DataObject) -> None:
    written = line.written(INVITATION)
    place = data.draw(st.integers(len(line.PREFIX), len(written) - 2))
    other = data.draw(st.sampled_from("AZaz09-_ .").filter(lambda letter: letter != written[place]))
    with pytest.raises(ConfigError, match="is not whole"):
        line.read(written[:place] + other + written[place + 1 :])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Not A Name"},
        {"host_keys": ("ssh-ed25519 AAAA",)},
        {"host_keys": (f"{KEYS.signing_key}\n* x",)},
        {"token": "c2hvcnQ="},
        {"url": "a\nb"},
    ],
    ids=str,
)
def test_a_line_with_a_right_check_and_nonsense_in_it_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        line.read(line.written(evolve(INVITATION, **change)))


def test_a_line_of_a_later_version_is_refused_in_a_sentence() -> None:
    later = json.loads(json.dumps({"more": 1}))
    content = json.dumps(later).encode() + b" " * 40
    text = line.PREFIX + base64.urlsafe_b64encode(line._check(content) + content).decode().rstrip("=")
    with pytest.raises(ConfigError) as caught:
        line.read(text)
    assert "as new as the other" in caught.value.hint


def test_ssh_reads_the_token_as_its_own_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(token.private_key_file(TOKEN))
    shown = subprocess.run(["ssh-keygen", "-y", "-P", "", "-f", file], capture_output=True, text=True)
    assert shown.stdout.split()[:2] == token.public_half(TOKEN).split(), shown.stderr


def test_only_the_holder_of_the_token_signs_these_keys_for_this_name() -> None:
    public, signature = token.public_half(TOKEN), token.sign(TOKEN, "home", KEYS)
    assert token.is_signed(public, "home", KEYS, signature)
    other = evolve(KEYS, public_key=keys.public_key(keys.generate()))
    assert not token.is_signed(public, "home", other, signature)
    assert not token.is_signed(public, "work", KEYS, signature)
    assert not token.is_signed(token.public_half(token.new_token()), "home", KEYS, signature)
    assert not token.is_signed(public, "home", KEYS, "")
    assert not token.is_signed("", "home", KEYS, signature)
    assert other.fingerprint != KEYS.fingerprint


REQUEST = Request(public_key=KEYS.public_key, signing_key=KEYS.signing_key, signature="x")


@pytest.mark.parametrize("said", [Question(request=REQUEST), Question(name="home", lifetime=60), Question()])
def test_a_question_arrives_as_it_was_sent(said: Question) -> None:
    assert answer.read_question(answer.text_of(said).encode()) == said


def test_an_answer_arrives_as_it_was_sent() -> None:
    said = Answer(state="waiting", until=5, request=REQUEST)
    assert answer.read_answer(answer.text_of(said).encode()) == said


@pytest.mark.parametrize(
    "bad", ['no"quote', "ssh-rsa AAAA", f'{KEYS.signing_key}\ncommand="id"', f"{KEYS.signing_key} x"]
)
def test_a_key_that_could_say_more_in_authorized_keys_is_no_key(bad: str) -> None:
    asked = Question(request=evolve(REQUEST, signing_key=bad))
    assert answer.read_question(answer.text_of(asked).encode()) is None
    assert answer.read_question(answer.text_of(Question(name="home", token_key=bad)).encode()) is None


@pytest.mark.parametrize("said", [b"", b"{}", b"[", b"null", b'{"state": "sure"}', b"Invalid command"])
def test_what_another_git_host_says_is_no_answer(said: bytes) -> None:
    assert answer.read_answer(said) is None
