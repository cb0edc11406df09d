"""The loop around the policy: whatever a sense puts into the inbox is decided upon."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from mesh_watchdog.daemon import Daemon
from mesh_watchdog.policy.observations import Applied, Snapshot
from mesh_watchdog.policy.peer import MISSING, NEW
from mesh_watchdog.policy.state import State
from mesh_watchdog.sense.sense import Inbox, Sense
from mesh_watchdog.settings import Settings
from unit.believed import ALIVE, KEY, applied_node, peer


class Scripted(Sense):
    """Knows one peer from the start, and sees it at every second look."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    async def start(self, inbox: Inbox) -> None:
        await super().start(inbox)
        inbox.put_nowait(Applied({KEY: peer().declared}))

    async def look(self) -> None:
        self.looks += 1
        self.inbox.put_nowait(Snapshot({KEY: ALIVE} if self.looks % 2 else {}))


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    made = Daemon(applied_node(tmp_path), Settings(), State())
    made.senses = [Scripted()]
    return made


def test_what_a_sense_puts_is_decided_upon(daemon: Daemon) -> None:
    async def story() -> list[str]:
        await daemon.start()
        phases = []
        for _ in range(2):
            await daemon.step()  # looks
            await daemon.step()  # takes in what was seen
            phases.append(daemon.state.peers[KEY].phase)
            daemon.inbox.put_nowait(None)
            await daemon.step()
        await daemon.close()
        return phases

    assert asyncio.run(asyncio.wait_for(story(), 10)) == [NEW, MISSING]
    assert daemon.view()["peers"][0]["name"] == "b"


def test_something_that_happens_brings_the_next_look_forward(daemon: Daemon) -> None:
    """Not waited for: an idle interface is read every 5 s."""
    daemon.settings = Settings(idle_interval=60)

    async def story() -> None:
        await daemon.start()
        await daemon.step()
        await daemon.step()
        daemon.inbox.put_nowait(None)
        [sense] = daemon.senses
        assert isinstance(sense, Scripted)
        while sense.looks < 2:
            await daemon.step()
        await daemon.close()

    asyncio.run(asyncio.wait_for(story(), 10))


def test_a_sense_that_fails_in_the_background_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        sense = Sense()
        sense.spawn(fails())
        await asyncio.sleep(0.01)
        await sense.stop()

    async def fails() -> None:
        raise ValueError("of no use")

    with caplog.at_level(logging.ERROR, "mesh_watchdog"):
        asyncio.run(story())
    assert "Sense failed" in caplog.text
    assert "of no use" in caplog.text
