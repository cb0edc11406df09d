"""What a remote is called in messages, and what is said of it when git fails."""

from __future__ import annotations

import pytest

from mesh_sync.errors import CommandError, Reason
from mesh_sync.repository.git_command import public, trouble


def failed(stderr: str = "", *, reason: Reason = Reason.EXIT_STATUS, status: int = 128) -> CommandError:
    return CommandError(
        f"git failed with status 128: {stderr}", program="git", reason=reason, status=status, stderr=stderr
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("git://git.example.org/mesh.git", "git://git.example.org/mesh.git"),
        ("/srv/mesh.git", "/srv/mesh.git"),
        ("git@git.example.org:mesh.git", "git@git.example.org:mesh.git"),
        ("ssh://git@git.example.org/mesh.git", "ssh://git@git.example.org/mesh.git"),
        ("ssh://git:secret@git.example.org/mesh.git", "ssh://git@git.example.org/mesh.git"),
        ("https://anna:secret@git.example.org/a@b", "https://...@git.example.org/a@b"),
        ("https://anna:sec@ret@git.example.org/", "https://...@git.example.org/"),
        ("https://anna:sec:ret@git.example.org:8443/", "https://...@git.example.org:8443/"),
        ("https://secret@git.example.org/", "https://...@git.example.org/"),
        ("cannot read 'https://anna:secret@git.example.org/x'", "cannot read 'https://...@git.example.org/x'"),
    ],
)
def test_a_remote_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert public(url) == shown


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("ssh: connect to host git port 22: Connection refused\nfatal: Could not read", "refuses the connection"),
        ("ssh: connect to host git port 22: Connection timed out", "gives no answer"),
        ("fatal: unable to access 'http://h/': Failed to connect to h port 80 after 2 ms", "cannot be reached"),
        (
            "fatal: unable to access 'https://h/': The requested URL returned error: 403",
            "refuses this node's credentials",
        ),
        (
            "fatal: could not read Username for 'https://h': …",
            "refuses this node's credentials",
        ),
        ("fatal: Authentication failed for 'https://anna:secret@h/'", "refuses this node's credentials"),
        ("fatal: repository 'https://h/mesh.git/' not found", "has no such repository"),
        ("error: index-pack died of signal 25", "has a repository larger than this node takes"),
        ("remote: warning: anything\n", "cannot be read: remote: warning: anything"),
    ],
)
def test_what_git_says_becomes_the_end_of_a_sentence(said: str, meaning: str) -> None:
    assert trouble(failed(said)) == meaning


def test_how_git_ends_counts_where_it_says_nothing() -> None:
    assert trouble(failed(reason=Reason.DEADLINE, status=0)) == "gives no answer"
    assert trouble(failed(reason=Reason.SIGNAL, status=25)) == "has a repository larger than this node takes"
    assert trouble(failed()) == "cannot be read: git failed with status 128:"


def test_what_is_not_known_is_quoted_without_its_secrets_and_fit_for_a_terminal() -> None:
    said = "Warning: Permanently added 'h'.\nfatal: 'https://anna:secret@h/' said \x1b[2J\nand the repository exists."
    assert trouble(failed(said)) == "cannot be read: fatal: 'https://...@h/' said \\x1b[2J"


def test_a_host_that_talks_without_end_is_quoted_shortly() -> None:
    said = trouble(failed(f"fatal: protocol error: unexpected '{'x' * 60_000}'"))
    assert said.startswith("cannot be read: fatal: protocol error: unexpected 'xxx")
    assert len(said) < 300


def test_a_secret_is_hidden_before_anything_is_cut_off() -> None:
    assert "secret" not in trouble(failed(f"fatal: {'x' * 170} https://anna:secret-that-is-long@h/"))
