"""`mesh-sync signer list|add|remove`: allowed_signers in a mesh repository."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from attrs import evolve

from mesh_sync.errors import ConfigError
from mesh_sync.findings import shown
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.trust import signers
from mesh_sync.trust.signers import Signer, Signers, added, line, without
from mesh_sync.trust.ssh_keys import named
from mesh_sync.workspace.edit import Change, Edit, Edited
from mesh_sync.workspace.typed import in_copy
from mesh_sync.workspace.working_copy import WorkingCopy


def in_force(copy: WorkingCopy) -> Signers:
    """Who may sign. Raise ConfigError when the mesh has no signers."""
    text = copy.text(SIGNERS_FILE)
    if text is None:
        hint = f"to create it: {in_copy(copy.directory, 'mesh-sync signer add YOU@DOMAIN KEY')}"
        raise ConfigError(f"this mesh has no {SIGNERS_FILE}: its commits are not signed", hint=hint)
    return signers.parse(text.encode())[0]


def as_json(one: Signer) -> dict[str, Any]:
    """One signer, as `signer list --json` shows it."""
    return {
        "principal": one.principal,
        "node": one.principal.partition("@")[0] if one.is_node else None,
        "type": one.kind,
        "fingerprint": one.fingerprint,
        "valid_after": one.valid_after and one.valid_after.isoformat(),
        "valid_before": one.valid_before and one.valid_before.isoformat(),
    }


def add(edit: Edit, principal: str, key: str, valid_before: date | None = None) -> Edited:
    """Let one more key sign, until a moment or the start of a day (UTC). The first one creates the file."""
    copy = edit.open()
    before = copy.text(SIGNERS_FILE)
    files = {SIGNERS_FILE: with_key(copy, principal, key, _in_utc(valid_before) if valid_before else None)}
    if files[SIGNERS_FILE] == before and not edit.commit:
        return Edited(f"{principal} may sign with this key already")
    listed, _ = signers.parse(files[SIGNERS_FILE].encode())
    admin = any(one.principal == principal for one in listed.admins)
    message = f"{principal}: {'is an admin, who may sign' if admin else 'may sign'}"
    return edit.finish(copy, files, message, "is written")


def remove(edit: Edit, who: str) -> Edited:
    """Remove all keys of a principal, or the one with this fingerprint (SHA256:…). ConfigError if there is none."""

    def removed(copy: WorkingCopy) -> Change:
        present = in_force(copy).entries
        gone = tuple(one for one in present if who == one.fingerprint or who.casefold() == one.principal.casefold())
        if not gone:
            names = ", ".join(sorted({signer.principal for signer in present})[:20])
            raise ConfigError(f"{SIGNERS_FILE} has no {shown(who)}", hint=f"it has: {names}")
        message = f"{', '.join(sorted({signer.principal for signer in gone}))}: may no longer sign"
        return Change({SIGNERS_FILE: without(copy.text(SIGNERS_FILE) or "", gone)}, message, "is written")

    return edit.make(removed)


def with_key(copy: WorkingCopy, principal: str, key: str, valid_before: datetime | None = None) -> str:
    """The file with one more key, or as it is if it has this line; ``key`` is a public key or the name of its file.

    Raise ConfigError if it is neither.
    """
    text, new = copy.text(SIGNERS_FILE) or "", line(principal, named(key), valid_before)
    [wanted] = signers.parse(new.encode())[0].entries or (None,)
    present = signers.parse(text.encode())[0].entries
    return text if any(_same(one, wanted) for one in present) else added(text, new)


def _same(one: Signer, other: Signer | None) -> bool:
    """Whether two lines let the same key do the same."""
    return other is not None and evolve(one, line=other.line) == other


def _in_utc(day: date) -> datetime:
    moment = day if isinstance(day, datetime) else datetime.combine(day, time())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
