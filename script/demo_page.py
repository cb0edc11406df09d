"""The operator's page of the demo: on a gateway, in a clone of alice's, and reached from outside of the lab."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from lab import Node, Site
from lab.waiting import until

PLACE = "/run/page"
AS_ALICE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
"""The page refuses root, which everyone is in the lab."""
PROGRAM = (sys.executable, "-c", "from mesh_sync.__main__ import main; main()", "web", "--no-browser")
TIMER = 15.0
"""Seconds between two runs of `mesh-sync now` on each gateway; on a real node the timer has a minute."""
SOON = 60


def begin(host: Node, url: str, key: Path) -> tuple[str, Path]:
    """Start the page of a clone of ``url``, which signs with a copy of ``key``; return the code, and its socket."""
    who = {"HOME": PLACE, "GIT_CONFIG_GLOBAL": "/dev/null"}
    host.run(["git", "clone", "-q", url, f"{PLACE}/mesh"])
    for end in ("", ".pub"):
        copy = host.path(f"{PLACE}/key{end}")
        copy.touch(mode=0o600)
        copy.write_bytes(key.with_name(key.name + end).read_bytes())
    settings = {"gpg.format": "ssh", "user.signingKey": f"{PLACE}/key", "commit.gpgSign": "true"}
    for name, value in {**settings, "user.name": "alice", "user.email": "alice@example.org"}.items():
        host.run(["git", "-C", f"{PLACE}/mesh", "config", name, value])
    words = ["-C", f"{PLACE}/mesh", "--socket", f"{PLACE}/socket"]
    process = host.popen([*AS_ALICE, *PROGRAM, *words], env=who)
    assert process.stdout is not None
    said = process.stdout.readline() + process.stdout.readline()
    socket = host.path(f"{PLACE}/socket")
    if ": " not in said or process.poll() is not None:
        raise SystemExit(f"the page did not start: {said}{process.stdout.read()}")
    until(socket.exists, SOON)
    return said.split()[-1], socket


def stay(sites: Mapping[str, Site], socket: Path, code: str) -> None:
    """Lead a port of this machine to the page, until Ctrl-C; meanwhile the nodes look for new commits."""
    asyncio.run(_stay(sites, socket, code))


async def _stay(sites: Mapping[str, Site], socket: Path, code: str) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(socket))
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    async with await asyncio.start_server(lead, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"  the page is at http://127.0.0.1:{port}/; Ctrl-C ends it, and the mesh")
        print(f"  it asks for this code once: {code}", flush=True)
        while not over.is_set():
            await asyncio.gather(*(asyncio.to_thread(_now, site.gateway) for site in sites.values()))
            try:
                await asyncio.wait_for(over.wait(), TIMER)
            except TimeoutError:
                continue


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything, until one end closes."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def _now(gateway: Node) -> None:
    """Quietly; a refusal is for the page to show."""
    gateway.run(["mesh-sync", "now"], check=False, timeout=SOON)
