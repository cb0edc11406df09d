"""mesh-watchdog that watches all peers, however many there are."""

from __future__ import annotations

from mesh_watchdog import cli
from mesh_watchdog.policy import crowd, polling, watched

if __name__ == "__main__":
    for module in (crowd, polling, watched):
        module.LARGE = 10_000  # type: ignore[attr-defined]
    cli.main(["run"])
