"""How a watchdog has mesh-sync look for a commit: by a file that systemd watches, or by a run of its own."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dns.message
import pytest

from mesh_sync.node import news as files
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.news import News, Teller
from mesh_watchdog.journal import Problems
from mesh_watchdog.mesh_dns import commits, exchange
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.news.messenger import Messenger
from mesh_watchdog.policy.news import Ask, Heard, Pull, Tell
from unit.mesh_in_dns import AZURE, GCP, state

COMMIT, OTHER = "1" * 40, "2" * 40


@pytest.fixture
def node(tmp_path: Path) -> Node:
    paths = Paths(state=tmp_path / "state", run=tmp_path / "run", wireguard=tmp_path / "wireguard")
    return Node(name="aws", repository=Repository(urls=("x",)), trust=Trust(mode="signed"), paths=paths)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)


def pulled(node: Node, pulls: Sequence[Pull], *, on: bool = True, until: Callable[[], bool] = lambda: True) -> Problems:
    problems = Problems()

    async def story() -> None:
        made = Messenger(node, Views("lo", state), problems, node.paths.run / "node.toml", on=on)
        await made.start(asyncio.Queue())
        for pull in pulls:
            made.pull(pull)
            await asyncio.sleep(0.01)
        while not until():
            await asyncio.sleep(0.01)
        await made.stop()

    asyncio.run(asyncio.wait_for(story(), 60))
    return problems


def test_it_writes_down_who_has_told_and_a_run_begins(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mesh_watchdog"):
        pulled(node, [Pull(COMMIT, (AZURE, GCP))], until=lambda: "exit" in caplog.text)
    assert files.load(node) == News(COMMIT, (Teller("azure", "10.0.0.2"), Teller("gcp", "10.0.0.3")))
    assert node.news_file.stat().st_mode & 0o777 == 0o600
    assert "told of commit 1111111111 by azure, gcp" in caplog.text
    assert "mesh-sync now: exit 2" in caplog.text, "there is no such node.toml"


def test_runs_follow_each_other(node: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    class Run:
        """One that takes a moment."""

        def __init__(self, *_: object, **__: object) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            self.returncode, self.end = 0, time.monotonic() + 0.2

        def poll(self) -> int | None:
            nonlocal running
            if time.monotonic() < self.end:
                return None
            running -= 1
            return 0

    monkeypatch.setattr(subprocess, "Popen", Run)
    pulls = [Pull(COMMIT, (AZURE,)), Pull(OTHER, (AZURE,)), Pull(OTHER, (GCP,))]
    with caplog.at_level(logging.INFO, "mesh_watchdog"):
        pulled(node, pulls, until=lambda: caplog.text.count("exit 0") == 2)
    assert most == 1
    assert files.load(node) == News(OTHER, (Teller("gcp", "10.0.0.3"),))


def test_a_commit_that_came_meanwhile_is_not_looked_for_again(
    node: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Messenger, "_applied", lambda _: COMMIT)
    pulls = [Pull(COMMIT, (AZURE,)), Pull(COMMIT, (AZURE, GCP))]
    with caplog.at_level(logging.INFO, "mesh_watchdog"):
        end = time.monotonic() + 3  # a run ends at once
        pulled(node, pulls, until=lambda: "exit" in caplog.text and time.monotonic() > end)
    assert caplog.text.count("exit") == 1


@pytest.mark.parametrize("act", [Tell(COMMIT, (AZURE,)), Ask(AZURE)], ids=["told", "asked"])
@pytest.mark.parametrize("on", [True, False])
def test_a_peer_that_is_told_or_asked_says_what_it_has(
    node: Node, monkeypatch: pytest.MonkeyPatch, act: Tell | Ask, on: bool
) -> None:
    said = list[str | None]()

    async def answer(question: bytes, address: str, *_: object) -> dns.message.Message | None:
        if address != "10.0.0.2":
            return None
        query = dns.message.from_wire(question)
        said.append(commits.read(query, query.question[0].name))
        response = dns.message.make_response(query)
        commits.add(response, query.question[0].name, OTHER)
        return response

    monkeypatch.setattr(exchange, "ask", answer)

    async def story() -> list[object]:
        made = Messenger(node, Views("lo", state), Problems(), node.paths.run / "node.toml", on=on)
        await made.start(asyncio.Queue())
        if isinstance(act, Tell):
            made.tell(act)
        else:
            made.ask(act)
        await asyncio.gather(*made._tasks)
        return [made.inbox.get_nowait() for _ in range(made.inbox.qsize())]

    heard = asyncio.run(asyncio.wait_for(story(), 60))
    assert heard == ([Heard(AZURE, OTHER)] if on else [])
    assert said == ([COMMIT if isinstance(act, Tell) else None] if on else [])


def test_under_systemd_the_file_is_all(
    node: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a run begins"))
    pulled(node, [Pull(COMMIT, (AZURE,))])
    assert files.load(node) == News(COMMIT, (Teller("azure", "10.0.0.2"),))


def test_where_it_is_off_nothing_happens(node: Node) -> None:
    pulled(node, [Pull(COMMIT, (AZURE,))], on=False)
    assert not node.news_file.exists()


def test_what_cannot_be_written_is_a_problem(node: Node) -> None:
    node.paths.run.parent.mkdir(exist_ok=True)
    node.paths.run.write_text("in the way")
    assert "cannot be written" in pulled(node, [Pull(COMMIT, (AZURE,))]).present[0]
    assert node.paths.run.is_file()
