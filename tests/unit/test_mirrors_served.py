"""Who is served by a node's port for git, and how much: few at once, not for long, and only peers."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.waiting import until
from mesh_sync.node.news import PORT
from mesh_watchdog.news import request, serve
from unit.hostile_mesh import HostileMesh
from unit.peer_as_mirror import ADDRESS, Mirror, mirroring, serving

ASKS = b"git-upload-pack /mesh\0host=x\0"


@pytest.fixture
def mirror(mesh: HostileMesh, tmp_path: Path) -> Iterator[Mirror]:
    with mirroring(Mirror(serving(tmp_path / "mirror", mesh.store), mesh.first, ("127.0.0.1", "127.0.0.9"))) as found:
        yield found


def line(text: bytes) -> bytes:
    return b"%04x" % (len(text) + 4) + text


def said(sent: bytes, *, source: str = "127.0.0.1", seconds: float = 30.0) -> bytes:
    """What the port answers, to its end."""
    found = b""
    with socket.create_connection((ADDRESS, PORT), seconds, source_address=(source, 0)) as sock:
        sock.sendall(sent)
        try:
            while piece := sock.recv(4096):
                found += piece
        except ConnectionResetError:
            pass
    return found


def advertised(mesh: HostileMesh) -> bytes:
    return f"{mesh.first} refs/heads/mesh".encode()


def test_a_peer_is_served(mesh: HostileMesh, mirror: Mirror) -> None:
    assert advertised(mesh) in said(line(ASKS) + b"0000")


def test_one_that_is_no_peer_is_not(mesh: HostileMesh, mirror: Mirror) -> None:
    assert said(line(ASKS) + b"0000", source="127.0.0.77") == b""


@pytest.mark.parametrize(
    "sent",
    [
        line(b"git-upload-pack /etc\0host=x\0"), line(b"git-receive-pack /mesh\0host=x\0"),
        line(b"git-upload-archive /mesh\0host=x\0"), line(b"git-upload-pack --help /mesh\0"),
        line(b"git-upload-pack /mesh /etc\0"), b"0000", b"0004", b"ffff" + ASKS, b"00+9" + ASKS,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
def test_anything_else_is_hung_up_on(mesh: HostileMesh, mirror: Mirror, sent: bytes) -> None:
    assert said(sent) == b""


def test_words_after_the_path_change_nothing(mesh: HostileMesh, mirror: Mirror) -> None:
    """A client that would like version 2, in which any object can be asked for by its hash, gets version 0."""
    found = said(line(ASKS + b"\0version=2\0") + b"0000")
    assert advertised(mesh) in found
    assert b"version 2" not in found


def test_the_longest_request_and_one_byte_more() -> None:
    assert request.length(b"%04x" % request.LARGEST) == request.LARGEST - 4
    with pytest.raises(ValueError, match="no request"):
        request.length(b"%04x" % (request.LARGEST + 1))


@pytest.mark.parametrize("sent", [b"", b"00", line(ASKS)[:-3], line(ASKS)], ids=["", "header", "line", "request"])
def test_one_that_says_nothing_more_does_not_stay(
    mesh: HostileMesh, mirror: Mirror, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "PATIENCE", 0.3)
    monkeypatch.setattr(serve, "DEADLINE", 1.0)
    said(sent)
    assert advertised(mesh) in said(line(ASKS) + b"0000")


def programs(mirror: Mirror) -> int:
    """How many git processes serve just now."""
    found = subprocess.run(["pgrep", "-fc", f"upload-pack.*{mirror.node.served_repository}"], stdout=subprocess.PIPE)
    return int(found.stdout)


def test_a_crowd_of_one_peers_clients_gets_one_program_and_others_are_served(
    mesh: HostileMesh, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, most = threading.Event(), 0

    def hang() -> None:
        while not end.is_set():
            try:
                with socket.create_connection((ADDRESS, PORT), 5) as sock:
                    sock.sendall(line(ASKS))
                    sock.settimeout(0.5)
                    while sock.recv(4096):
                        pass
            except OSError:
                time.sleep(0.01)

    threads = [threading.Thread(target=hang) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: programs(mirror), 60)
        for _ in range(20):
            most = max(most, programs(mirror))
            time.sleep(0.05)
        until(lambda: advertised(mesh) in said(line(ASKS) + b"0000", source="127.0.0.9"), 60)
    finally:
        end.set()
        for thread in threads:
            thread.join(30)
    assert most == 1


def test_a_client_that_asks_too_much_is_hung_up_on(
    mesh: HostileMesh, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "MOST_GIVEN", 100)
    assert advertised(mesh) not in said(line(ASKS) + b"0000")


def test_before_anything_is_applied_nothing_is_served(mesh: HostileMesh, mirror: Mirror) -> None:
    mirror.show("")
    assert said(line(ASKS) + b"0000") == b""
