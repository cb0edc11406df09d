"""mesh-watchdog that says what it is told by other nodes, and places the calls that a test asks it for, and no others.

Usage: calling_watchdog.py FILE    A line of FILE is a call, as JSON: about, observers, candidates, relayed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs

from mesh_watchdog import cli, daemon
from mesh_watchdog.policy.actions import Call
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.observations import Observation, Reported, Sought
from mesh_watchdog.policy.state import Decision, State


def main() -> None:
    file = Path(sys.argv[1])
    placed = 0

    def overheard(state: State, observation: Observation, moment: float) -> Decision:
        nonlocal placed
        if isinstance(observation, Reported | Sought):
            print(json.dumps({"told": type(observation).__name__, **attrs.asdict(observation)}), file=sys.stderr)
        after, actions = decide(state, observation, moment)
        lines = file.read_text().splitlines() if file.exists() else []
        calls, placed = [call(json.loads(line)) for line in lines[placed:]], len(lines)
        return after, (*(action for action in actions if not isinstance(action, Call)), *calls)

    daemon.decide = overheard  # type: ignore[attr-defined]
    cli.main(["run"])


def call(words: dict[str, Any]) -> Call:
    return Call(
        words["about"], tuple(words["observers"]), tuple(words.get("candidates", ())), words.get("relayed", False)
    )


if __name__ == "__main__":
    main()
