"""`mesh-sync signer list|add|remove`: allowed_signers in a mesh repository's working copy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from mesh_sync.errors import ConfigError
from mesh_sync.findings import shown
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.trust import signers
from mesh_sync.trust.signer_file import added, line, without
from mesh_sync.trust.signers import Signer, Signers
from mesh_sync.trust.ssh_keys import named
from mesh_sync.workspace import commits
from mesh_sync.workspace.commits import Done, finish
from mesh_sync.workspace.working_copy import WorkingCopy, opened


@frozen
class Roll:
    """The signers of a working copy, and the fingerprint that its commits give the mesh; None before the first."""

    mesh: str
    signers: Signers
    fingerprint: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "mesh": self.mesh,
            "fingerprint": self.fingerprint,
            "signers": list(map(self._signer, self.signers.entries)),
        }

    def _signer(self, signer: Signer) -> dict[str, Any]:
        after, before = signer.valid_after, signer.valid_before
        return {
            "principal": signer.principal,
            "node": signer.principal.partition("@")[0] if signer.is_node else None,
            "type": signer.kind,
            "fingerprint": signer.fingerprint,
            "valid_after": after and after.isoformat(),
            "valid_before": before and before.isoformat(),
        }


def roll(directory: Path) -> tuple[Roll, WorkingCopy]:
    """Who may sign, as the working copy says. Raise ConfigError when it does not say."""
    repository = opened(directory)
    return Roll(repository.mesh.name, _present(repository), commits.fingerprint(directory)), repository


def add(directory: Path, principal: str, key: str, *, valid_before: datetime | None = None, commit: bool) -> Done:
    """Let one more key sign. The first one begins the file."""
    repository = _open(directory, commit)
    files = {SIGNERS_FILE: with_key(repository, principal, key, valid_before)}
    return finish(repository, files, f"{principal}: may sign", "is written", commit=commit)


def remove(directory: Path, who: str, *, commit: bool) -> Done:
    """Take out all keys of a principal, or the one with this fingerprint (SHA256:…). ConfigError if there is none."""
    repository = _open(directory, commit)
    present = _present(repository)
    gone = tuple(signer for signer in present.entries if who in (signer.principal, signer.fingerprint))
    if not gone:
        names = ", ".join(sorted({signer.principal for signer in present.entries})[:20])
        raise ConfigError(f"{SIGNERS_FILE} has no {shown(who)}", hint=f"it has: {names}")
    message = f"{', '.join(sorted({signer.principal for signer in gone}))}: may no longer sign"
    return finish(repository, {SIGNERS_FILE: without_keys(repository, gone)}, message, "is written", commit=commit)


def with_key(repository: WorkingCopy, principal: str, key: str, valid_before: datetime | None = None) -> str:
    """The file with one key more; ``key`` is a public key or the name of its file. ConfigError if it is neither."""
    public = named(key)
    new = line(principal, str(public), comment=public.comment, valid_before=valid_before)
    return added(repository.text(SIGNERS_FILE) or "", new)


def without_keys(repository: WorkingCopy, gone: tuple[Signer, ...]) -> str:
    """The file without these keys."""
    return without(repository.text(SIGNERS_FILE) or "", gone)


def keys_of(repository: WorkingCopy, node: str) -> tuple[Signer, ...]:
    """The signing keys of a node; none where nobody signs."""
    return signers.parse((repository.text(SIGNERS_FILE) or "").encode())[0].of(node, repository.mesh.name)


def _open(directory: Path, commit: bool) -> WorkingCopy:
    if commit:
        commits.require(directory)
    return opened(directory)


def _present(repository: WorkingCopy) -> Signers:
    text = repository.text(SIGNERS_FILE)
    if text is None:
        hint = "`mesh-sync signer add YOU@DOMAIN KEY` begins it"
        raise ConfigError(f"this mesh has no {SIGNERS_FILE}: its commits are not signed", hint=hint)
    return signers.parse(text.encode())[0]
