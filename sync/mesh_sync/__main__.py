"""The way in. What the timer runs goes straight to work, everything else through the command line.

`mesh-sync now` mostly finds nothing to do, and importing click would take longer than that.
"""

from __future__ import annotations

import atexit
import gc
import sys
from pathlib import Path

from mesh_sync.terminal.exit import ending

GARBAGE = (100_000, 50, 100)
"""When Python looks for cycles. Among the objects of a large list it finds none, and took a fifth of a run for that."""


def main() -> None:
    """Run the program."""
    gc.set_threshold(*GARBAGE)
    atexit.register(gc.freeze)  # a last look for cycles at exit, through all that was imported, took a tenth of a run
    match sys.argv[1:]:
        case ["now", *options] if not options or (options[0] == "--config" and len(options) == 2):
            ending(lambda: _timer(options))
        case _:
            from mesh_sync.cli.main import main as command_line  # click, which the timer's run does without

            command_line()


def _timer(options: list[str]) -> int:
    from mesh_sync.cli.timer import now  # all of a run, which other commands do without

    return now(*map(Path, options[1:]))


if __name__ == "__main__":
    main()
