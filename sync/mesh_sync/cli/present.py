"""What several commands print, in plain sentences. Colours only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mesh_sync.diagnose.trouble import Trouble
from mesh_sync.findings import ERROR, Finding, errors
from mesh_sync.terminal.say import count, say
from mesh_sync.wireguard.plan import Change
from mesh_sync.workspace.typed import in_copy

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}


def changes(made: Iterable[Change]) -> None:
    """One line for each change."""
    for change in made:
        sign, colour = _SIGNS.get(change.kind.rpartition("-")[2], ("~", "yellow"))
        say(f"  {sign if change.acted else '?'} {change.text}", colour)


def notes(texts: Iterable[str]) -> None:
    """What could not be done yet, one line each."""
    for text in texts:
        say(f"  ! {text}", "yellow")


def findings(found: Iterable[Finding], *, err: bool) -> None:
    """One line for each finding: file:key: message."""
    for finding in found:
        say(str(finding), "red" if finding.severity == ERROR else "yellow", err=err)


def troubles(found: Iterable[Trouble]) -> None:
    """What keeps this machine from what the list says, and below it what to do about that."""
    for trouble in found:
        say(f"  ! {trouble}", "red" if trouble.severity == ERROR else "yellow")
        if trouble.fix:
            say(f"    {trouble.fix}")


def list_errors(found: Iterable[Finding], directory: Path) -> None:
    """Say on stderr that what is shown may not be the whole list, if the list has errors."""
    if wrong := errors(found):
        check = in_copy(directory, "mesh-sync check", "")
        say(f"the list has {count(len(wrong), 'error')}; next: {check}", "red", err=True)
