"""`mesh-watchdog once`: one pass for a timer. The memory makes successive passes slices of one run."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from mesh_sync.node import config as nodes
from mesh_sync.node.config import Node
from mesh_watchdog import clock, memory
from mesh_watchdog.daemon import Daemon
from mesh_watchdog.policy.polling import is_settled
from mesh_watchdog.report import status_file
from mesh_watchdog.settings import Settings, settings_of

DEADLINE = 30.0
"""Seconds for a pass: a silent peer is suspected after 11, searched for after 15 (rule R3), and then has to answer."""


def once(config: Path) -> int:
    """Make one pass: probe all peers, search for those that stay silent. Return the exit code."""
    node = nodes.load(config)
    settings = settings_of(node, config)
    with status_file.alone(node):
        return asyncio.run(_pass(node, settings))


async def _pass(node: Node, settings: Settings) -> int:
    began = clock.moment()
    file, boot = status_file.memory_file(node), clock.boot_id()
    daemon = Daemon(node, settings, memory.load_pass(file, began, boot))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    try:
        await daemon.start(probe_all=True)
        while not daemon.stopping and not is_settled(daemon.state, began, clock.moment()):
            await asyncio.wait_for(daemon.step(), max(0.1, began + DEADLINE - clock.moment()))
    except TimeoutError:
        pass
    finally:
        memory.save(file, daemon.state, boot)
        status_file.write(status_file.status_file(node), daemon.view())
        await daemon.close()
    return 6 if daemon.problems.present else 0
