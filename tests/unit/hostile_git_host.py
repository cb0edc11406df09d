"""A git host that speaks git's own protocol (gitprotocol-pack(5), version 0), and says whatever a test wants."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from lab.bombs import advertised, line

FLUSH = b"0000"


def refusing(words: str) -> list[bytes]:
    """Answer every request with an error of these words."""
    return [line(b"ERR " + words.encode())]


def chatting(head: str, words: str) -> list[bytes]:
    """Offer a head; when it is asked for, say these words as progress and as the reason for failing."""
    said = words.encode()
    return [b"".join(advertised(head)), line(b"NAK\n") + line(b"\2" + said + b"\n") + line(b"\3" + said)]


class Host(socketserver.ThreadingTCPServer):
    """Sends its answers one after the other, the next one whenever the client has asked; ``pause``: seconds a byte."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, answers: Iterable[bytes], pause: float = 0.0) -> None:
        self.answers, self.pause, self.asked = list(answers), pause, 0
        super().__init__(("127.0.0.1", 0), _Talk)

    @property
    def url(self) -> str:
        return f"git://127.0.0.1:{self.server_address[1]}/mesh.git"


class _Talk(socketserver.BaseRequestHandler):
    server: Host

    def handle(self) -> None:
        self.server.asked += 1
        with suppress(OSError):
            for answer in self.server.answers:
                self.request.recv(65536)
                for part in [answer[i : i + 1] for i in range(len(answer))] if self.server.pause else [answer]:
                    self.request.sendall(part)
                    time.sleep(self.server.pause)


@contextmanager
def hosting(answers: Iterable[bytes], pause: float = 0.0) -> Iterator[Host]:
    """Such a host on the loopback interface."""
    with Host(answers, pause) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        try:
            yield host
        finally:
            host.shutdown()
