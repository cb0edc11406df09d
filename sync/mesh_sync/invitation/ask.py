"""Questions to a git host of `mesh-sync host`, through ssh."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh_sync.errors import CommandError, ConfigError, Reason, Unreachable
from mesh_sync.invitation.answer import COMMAND, MOST, Answer, Question, read_answer, text_of
from mesh_sync.invitation.ssh_host_key import SshTarget, ssh_target
from mesh_sync.invitation.token import private_key_file
from mesh_sync.repository.bare_copy import home
from mesh_sync.repository.git_command import public, trouble
from mesh_sync.system.foreground import in_foreground
from mesh_sync.system.run import run

DEADLINE = 60.0
"""Seconds for a question."""
WITH_A_PERSON = 180.0
"""Seconds where a passphrase may have to be typed."""
_FAILED = 255
"""How ssh ends when it did not get as far as the command (ssh(1), EXIT STATUS)."""


def by_person(url: str, verb: str, question: Question) -> Answer | None:
    """Ask as the person at this terminal: their settings, keys and agent. None: it is another kind of git host.

    Raise ConfigError where ssh does not lead there, Unreachable.
    """
    argv = ["ssh", "-T", *_words(_target(url), verb)]
    try:
        said = in_foreground(argv, input=text_of(question), deadline=WITH_A_PERSON)
    except CommandError as error:
        if error.reason is Reason.EXIT_STATUS and error.status != _FAILED:
            return None
        raise Unreachable(f"{public(url)} {trouble(error)}") from None
    return read_answer(said.encode()[:MOST])


def by_token(url: str, token: str, known_hosts: Path, question: Question) -> Answer | None:
    """Ask as a machine that was invited: by the token, and only a host with one of these keys."""
    with _identity(token) as identity:
        options = [
            "-T", "-oBatchMode=yes", "-oLogLevel=ERROR", "-oIdentitiesOnly=yes", f"-oIdentityFile={identity}",
            "-oIdentityAgent=none", "-oPreferredAuthentications=publickey",
            "-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={known_hosts}", "-oGlobalKnownHostsFile=none",
            f"-oConnectTimeout={DEADLINE / 2:.0f}", "-oControlMaster=no", "-oControlPath=none",
            "-oClearAllForwardings=yes", "-oForwardAgent=no", "-oRequestTTY=no", "-oRemoteCommand=none",
        ]  # fmt: skip
        argv = ["ssh", *options, *_words(_target(url), "ask")]
        try:
            said = run(argv, input=text_of(question), env=home(), deadline=DEADLINE, most=MOST)
        except CommandError as error:
            if error.reason is Reason.EXIT_STATUS and error.status != _FAILED:
                return None
            raise Unreachable(f"{public(url)} {trouble(error)}") from None
    return read_answer(said.encode())


def _target(url: str) -> SshTarget:
    target = ssh_target(url)
    if target is None:
        raise ConfigError(f"{public(url)} is not reached by ssh", hint="an invitation leads to a git host by ssh")
    return target


def _words(target: SshTarget, verb: str) -> list[str]:
    port = ["-p", str(target.port)] if target.port else []
    user = ["-l", target.user] if target.user else []
    return [*port, *user, "--", target.host, f"{COMMAND} {verb}"]


@contextmanager
def _identity(token: str) -> Iterator[Path]:
    """A file with the token, for as long as ssh needs it; 0600 from its first byte."""
    with tempfile.NamedTemporaryFile("w", prefix="mesh-sync-") as file:
        file.write(private_key_file(token))
        file.flush()
        yield Path(file.name)
