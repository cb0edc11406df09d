"""`mesh-sync now` as the timer runs it: by the same steps as with options, and without click."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.node.config import DEFAULT_CONFIG, load
from mesh_sync.reconcile.run import run_now


def now(config: Path = DEFAULT_CONFIG) -> int:
    """Do one run, say what it did, and return the exit code."""
    outcome = run_now(load(config))
    if outcome.uneventful:
        print(outcome.in_sync, flush=True)
        return 0
    from mesh_sync.cli.node import present_outcome  # click, which a run with nothing to do does without

    present_outcome(outcome, dry_run=False)
    return outcome.exit_code
