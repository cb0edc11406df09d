"""The loop around the policy: whatever a sense puts into the inbox is decided upon."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from pathlib import Path

import pytest
from attrs import evolve

from mesh_watchdog.daemon import Daemon
from mesh_watchdog.policy.crowd import LARGE
from mesh_watchdog.policy.news import Heard
from mesh_watchdog.policy.observations import Applied, Seen, Snapshot, Sought
from mesh_watchdog.policy.peer import MISSING, NEW, UP
from mesh_watchdog.policy.state import State
from mesh_watchdog.report import status_file
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


def test_what_peers_say_without_end_has_it_look_for_a_part_of_its_time(daemon: Daemon) -> None:
    """In a mesh in which a look takes 50 ms: that of a thousand peers."""

    class Dear(Scripted):
        async def look(self) -> None:
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass
            await super().look()

    daemon.senses, begin = [Dear()], time.process_time()

    async def story() -> int:
        await daemon.start()
        for number in range(60):
            daemon.inbox.put_nowait(Sought(KEY, KEY) if number % 2 else Heard(KEY, f"{number:040}"))
            while not daemon.inbox.empty():
                await daemon.step()
            await daemon.step(within=0.02)
        await daemon.close()
        [sense] = daemon.senses
        assert isinstance(sense, Scripted)
        return sense.looks

    looks = asyncio.run(asyncio.wait_for(story(), 60))
    assert 1 <= looks < 25
    assert time.process_time() - begin > looks * 0.05


@pytest.mark.parametrize(("count", "is_news"), [(LARGE - 1, True), (LARGE, False)])
def test_that_a_peer_of_many_is_heard_for_the_first_time_is_no_reason_to_write(
    tmp_path: Path, count: int, is_news: bool
) -> None:
    """Some are asked at a time, for an hour; that one goes missing is a reason in any mesh."""
    keys = [f"{number:043}=" for number in range(count)]
    silent = dict.fromkeys(keys, evolve(ALIVE, handshake=0, rx=0, tx=0))
    heard, again = {**silent, keys[0]: ALIVE}, {**silent, keys[0]: evolve(ALIVE, rx=2000)}
    made = Daemon(applied_node(tmp_path), Settings(), State())
    made.senses = []

    async def takes(snapshot: dict[str, Seen]) -> bool:
        made.changed = False
        made.inbox.put_nowait(Snapshot(snapshot))
        while not made.inbox.empty():
            await made.step()
        return made.changed

    async def story() -> list[bool]:
        await made.start()
        made.inbox.put_nowait(Applied(dict.fromkeys(keys, peer().declared)))
        await takes(silent)
        await takes(silent)
        found = [await takes(snapshot) for snapshot in (heard, again, {keys[0]: again[keys[0]]})]
        assert made.state.peers[keys[0]].phase == UP
        await made.close()
        return found

    assert asyncio.run(asyncio.wait_for(story(), 60)) == [is_news, False, True]


class Broken(Scripted):
    """Fails at its first looks."""

    async def look(self) -> None:
        await super().look()
        if self.looks <= 2:
            raise ValueError("of no use")


def test_a_sense_or_a_decision_that_fails_is_told_of_once_and_ends_nothing(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = Broken(), Scripted()
    daemon.senses = [broken, sound]
    daemon.settings = Settings(idle_interval=1)

    async def story() -> None:
        await daemon.start()
        for _ in range(2):
            daemon.inbox.put_nowait(Applied(None))  # type: ignore[arg-type]
            await daemon.step()
        assert any("acting upon Applied failed" in problem for problem in daemon.view()["problems"])
        while sound.looks < 2:
            await daemon.step()
        assert any("Broken failed: ValueError: of no use" in problem for problem in daemon.view()["problems"])
        while daemon.problems.present:
            daemon.inbox.put_nowait(Applied({KEY: peer().declared}))
            await daemon.step()
        await daemon.close()

    asyncio.run(asyncio.wait_for(story(), 60))
    assert caplog.text.count("Broken failed") == 1
    assert caplog.text.count("acting upon Applied failed") == 1
    assert "Traceback" in caplog.text
    assert daemon.state.peers[KEY].phase != NEW


def spoilt(folder: Path, how: str) -> None:
    """Make the folder of the memory one that cannot be written."""
    shutil.rmtree(folder)
    if how == "is a file":
        folder.write_text("")
    if how == "is full":
        folder.symlink_to("/dev/full")
    if how == "leads nowhere":
        folder.symlink_to(folder.parent / "gone" / "there")


@pytest.mark.parametrize("how", ["is a file", "is full", "leads nowhere"])
def test_a_memory_that_cannot_be_written_is_said_once_until_it_can(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    folder = status_file.memory_file(daemon.node).parent

    async def story() -> None:
        await daemon.start()
        await daemon.step()
        await daemon.step()
        spoilt(folder, how)
        for _ in range(3):
            daemon.remember()
            daemon.write_status()
        assert any("watchdog.json cannot be written" in problem for problem in daemon.view()["problems"])
        folder.unlink()
        daemon.remember()
        assert status_file.memory_file(daemon.node).exists()
        await daemon.close()

    asyncio.run(asyncio.wait_for(story(), 10))
    assert caplog.text.count("watchdog.json cannot be written") == 1
    assert not daemon.problems.present


def test_what_of_the_memory_cannot_be_written_at_all_ends_nothing(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.state = State(peers={(KEY,): evolve(peer(), good="a:1")})  # type: ignore[dict-item]
    for _ in range(3):
        daemon.remember()
    assert caplog.text.count("writing the memory failed: TypeError") == 1
    assert daemon.problems.present
    daemon.state = State(peers={KEY: peer()})
    daemon.remember()
    assert not daemon.problems.present


def test_a_state_folder_that_cannot_be_made_is_a_problem_and_no_end(tmp_path: Path) -> None:
    """On a disk that is read-only since before the boot, say."""
    node = applied_node(tmp_path)
    shutil.rmtree(node.paths.state)
    node.paths.state.write_text("")
    made = Daemon(node, Settings(), State())
    made.senses = made.senses[:1]

    async def story() -> None:
        await made.start()
        assert any("new applied states are seen late" in problem for problem in made.view()["problems"])
        await made.close()

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
