"""The way in. What the timer runs goes straight to work, everything else through the command line.

`mesh-sync now` mostly finds nothing to do, and importing click would take longer than that.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from mesh_sync.node.config import DEFAULT_CONFIG, load
from mesh_sync.reconcile.run import run_now
from mesh_sync.terminal.exit import ending


def main() -> None:
    """Run the program: `mesh-sync now` from here, by the same steps as with options."""
    match sys.argv[1:]:
        case ["now"]:
            ending(_now)
        case ["now", "--config", file]:
            ending(partial(_now, Path(file)))
        case _:
            from mesh_sync.cli.main import main as command_line  # the timer's run does without click

            command_line()


def _now(config: Path | None = None) -> int:
    outcome = run_now(load(config or DEFAULT_CONFIG))
    if outcome.uneventful:
        print(outcome.in_sync, flush=True)
        return 0
    from mesh_sync.cli import present  # the timer's run mostly has nothing to present

    present.outcome(outcome, dry_run=False)
    return outcome.exit_code


if __name__ == "__main__":
    main()
