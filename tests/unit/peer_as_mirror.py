"""A peer that serves the mesh repository on a loopback address, by the watchdog's own port; or something else there."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve

from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.news import PORT
from mesh_watchdog.journal import Problems
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.news.serve import GitPort
from mesh_watchdog.policy.news import News
from mesh_watchdog.policy.observations import Declared, Here
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.state import State

ADDRESS = f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{max(2, os.getpid() & 255)}"
"""This process's own, so that tests may run beside each other."""


def serving(home: Path, objects: Path) -> Node:
    """A node whose bare copy is the repository ``objects``."""
    paths = Paths(state=home / "state", run=home / "run", wireguard=home / "wireguard")
    node = Node(
        name="peer", interface="lo", repository=Repository(urls=("x",)), trust=Trust(mode="signed"), paths=paths
    )
    node.bare_repository.parent.mkdir(parents=True, mode=0o700)
    node.bare_repository.symlink_to(objects)
    return node


class Mirror:
    """What the port serves, ``commit``, can be changed while it serves.

    ``sources``: addresses of as many peers; what the kernel sends to itself comes from the first.
    """

    def __init__(self, node: Node, commit: str, sources: tuple[str, ...] = ("127.0.0.1",)) -> None:
        peers = {source: Declared(source, (), ADDRESS, addresses=(source,)) for source in sources}
        self.state = State(
            peers={key: PeerState(declared=peer, since=0.0, heard=0.0) for key, peer in peers.items()},
            here=Here("peer", "me", "", (ADDRESS,)),
            news=News((commit,)),
        )
        self.node = node
        self.problems = Problems()

    def show(self, commit: str) -> None:
        self.state = evolve(self.state, news=News((commit,)))

    async def port(self) -> GitPort:
        """The port, which serves."""
        made = GitPort(self.node, Views("lo", lambda: self.state), self.problems)
        await made.start(asyncio.Queue())
        await made.look()
        assert not self.problems.present, self.problems.present
        return made


@contextmanager
def mirroring(mirror: Mirror) -> Iterator[Mirror]:
    """It serves in a thread until the end of the `with`."""
    loop, begun, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        port = await mirror.port()
        begun.set()
        await end.wait()
        await port.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert begun.wait(30)
        yield mirror
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(30)
        loop.close()


@contextmanager
def silent() -> Iterator[socket.socket]:
    """A port that takes connections and says nothing."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ADDRESS, PORT))
        made.listen(8)
        yield made
