"""Whether a key that may sign has signed a commit. Changes nothing.

Ed25519 is verified in this process, everything else by `git verify-commit`, which takes a hundred times as long. Of it
only the exit status counts, with a file of only those lines that may have signed; no settings but ours apply.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.system.files import raise_if_unwritable
from mesh_sync.system.run import is_installed
from mesh_sync.trust import signers
from mesh_sync.trust.authorization import Commit, Untrusted
from mesh_sync.trust.signature import Ed25519
from mesh_sync.trust.signers import Signer

_MARGIN = 2 * 86400
"""Seconds from a limit within which only ssh-keygen applies it: it and git each have their own idea of local time."""
_TEMPORARY = Path("/tmp")  # noqa: S108
"""Where git hands signatures to ssh-keygen."""


def is_signed(
    repository: GitObjects, commit: Commit, lines: tuple[Signer, ...], *, second_opinion: bool = False
) -> bool:
    """Whether one of these lines' keys has signed the commit.

    ``second_opinion``: git is asked too; it is whenever this process finds that a signature does not match. Raise
    Untrusted when they disagree.
    """
    found = _is_signed_here(commit, lines)
    if found and not second_opinion:
        return True
    git_found = _is_signed_to_git(repository, commit, lines)
    if found is not None and found != git_found:
        text = f"commit {commit.short} is signed to {'git' if git_found else 'mesh-sync'} only"
        raise Untrusted(f"{text}: git and mesh-sync have to agree on a signature", lasting=False)
    return git_found


def _is_signed_here(commit: Commit, lines: tuple[Signer, ...]) -> bool | None:
    """The same, as far as this process can tell; None when only git can."""
    ed25519 = commit.signature.ed25519
    if not ed25519 or ed25519.name.hex() != commit.name or not any(_allows(line, commit, ed25519) for line in lines):
        return None
    point = base64.b64decode(commit.key.split()[1])[-32:]
    try:
        crypto_sign_open(ed25519.message, point)
    except (BadSignatureError, ValueError):
        return False
    return True


def _allows(line: Signer, commit: Commit, ed25519: Ed25519) -> bool:
    """Whether ssh-keygen surely takes this line for a commit of this date."""
    after, before = line.valid_after, line.valid_before
    begun = after is None or after.timestamp() + _MARGIN < ed25519.date
    ended = before is not None and before.timestamp() - _MARGIN < ed25519.date
    return line.key == commit.key and begun and not ended


def _is_signed_to_git(repository: GitObjects, commit: Commit, lines: tuple[Signer, ...]) -> bool:
    """The exit status of `git verify-commit`."""
    descriptor = os.memfd_create("allowed_signers")
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(signers.text(lines))
        setting = f"gpg.ssh.allowedSignersFile=/proc/self/fd/{descriptor}"
        repository.git("-c", setting, "verify-commit", commit.name, pass_fds=[descriptor])
    except CommandError as error:
        if error.reason is not Reason.EXIT_STATUS:
            raise
        if not is_installed("ssh-keygen"):
            raise DeviceError("ssh-keygen is not installed; it verifies the signatures of commits") from None
        raise_if_unwritable(_TEMPORARY)
        return False
    finally:
        os.close(descriptor)
    return True
