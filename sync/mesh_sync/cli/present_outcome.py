"""How a run of `now` ended, in plain sentences. Without click: the timer's run comes here."""

from __future__ import annotations

from mesh_sync.cli import present
from mesh_sync.errors import Refused, RolledBack
from mesh_sync.reconcile.outcome import Outcome
from mesh_sync.terminal.exit import complain
from mesh_sync.terminal.say import count, say


def present_outcome(found: Outcome, *, dry_run: bool) -> None:
    """Print the changes and the result on stdout, and what went wrong on stderr."""
    if found.waiting:
        say(found.in_sync)
        return
    interface = found.node.interface
    present.changes(found.changes)
    present.findings(found.findings, err=isinstance(found.problem, Refused))
    present.notes(found.notes)
    present.troubles(found.troubles)
    acted = [change for change in found.changes if change.acted]
    at = f"commit {found.commit[:10]}" if found.commit else "nothing yet"
    if found.problem:
        complain(found.problem)
        if found.commit and isinstance(found.problem, RolledBack) and acted:
            say(f"{interface} is back at {at} ({count(found.peers, 'peer')})")
        elif found.commit:
            done = f"{count(len(acted), 'change')} made" if acted else "nothing to change"
            say(f"{interface} stays at {at} ({count(found.peers, 'peer')}, {done})")
    elif acted and dry_run:
        say(f"{interface} would get {count(len(acted), 'change')} for {at}")
    elif acted:
        say(f"{interface} is at {at}: {count(len(acted), 'change')}, {count(found.peers, 'peer')}")
    else:
        say(found.in_sync)
