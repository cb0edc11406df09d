"""What a hostile git host sends: small on the wire, and large or endless for whoever takes it in.

`python -m lab.bombs PORT` serves all of them over git's own protocol (version 0, gitprotocol-pack(5)), each as a
repository of its name.
"""

from __future__ import annotations

import os
import socketserver
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import repeat
from typing import ClassVar

from lab.packs import BLOB, COMMIT, TREE, commit, multiplied, name, pack, packed, tree, zeros

FILE, FOLDER = "100644", "40000"
NOTHING = name(BLOB, b"")
MISSING = "1" * 40
Objects = tuple[str, list[bytes]]
"""A head and what is packed; the head's commit is the last."""


def with_head(top: str, objects: list[bytes], message: str = "bomb") -> Objects:
    head = commit(top, message)
    return name(COMMIT, head), [*objects, packed(COMMIT, head)]


def with_tree(entries: list[tuple[str, str, str]], objects: list[bytes]) -> Objects:
    top = tree(entries)
    return with_head(name(TREE, top), [*objects, packed(TREE, top)])


def ten_gigabytes() -> Objects:
    return with_tree([(FILE, "zeros", MISSING)], [zeros(10 * 1024)])


def many_big_files() -> Objects:
    return with_tree([(FILE, "zeros", MISSING)], [zeros(64, str(number).encode()) for number in range(200)])


def delta() -> Objects:
    base = bytes(65535)
    return with_tree([(FILE, "zeros", MISSING)], [packed(BLOB, base), multiplied(name(BLOB, base), 65535, 1 << 16)])


def million_files() -> Objects:
    files = [(FILE, f"{number:06}", NOTHING) for number in range(1_000_000)]
    return with_tree(files, [packed(BLOB, b"")])


def nested(bottom: list[tuple[str, str, str]], objects: list[bytes], depth: int, width: int) -> Objects:
    """Trees of one tree many times: `width` ** `depth` paths to the bottom."""
    content = tree(bottom)
    for _ in range(depth):
        objects.append(packed(TREE, content))
        inner = name(TREE, content)
        content = tree((FOLDER, f"{number:02}", inner) for number in range(width))
    return with_head(name(TREE, content), [*objects, packed(TREE, content)])


def commits() -> Objects:
    """A hundred thousand, one on top of the other."""
    objects, parent, top = [packed(TREE, b"")], "", name(TREE, b"")
    for number in range(100_000):
        content = commit(top, str(number), parent)
        objects.append(packed(COMMIT, content))
        parent = name(COMMIT, content)
    return parent, objects


def long_message(megabytes: int) -> Objects:
    return with_head(name(TREE, b""), [packed(TREE, b"")], "a" * (megabytes << 20))


def long_name() -> Objects:
    return with_tree([(FILE, "n" * (8 << 20), NOTHING)], [packed(BLOB, b"")])


BOMBS: dict[str, Callable[[], Objects]] = {
    "ten-gigabytes": ten_gigabytes,
    "many-big-files": many_big_files,
    "delta": delta,
    "million-files": million_files,
    "paths": lambda: nested([(FILE, "f", NOTHING)], [packed(BLOB, b"")], 10, 10),
    "folders": lambda: nested([], [], 10, 10),
    "deep": lambda: nested([(FILE, "f", NOTHING)], [packed(BLOB, b"")], 50_000, 1),
    "commits": commits,
    "long-message": lambda: long_message(300),
    "message": lambda: long_message(50),
    "long-name": long_name,
}


def line(text: bytes) -> bytes:
    """A pkt-line."""
    return f"{len(text) + 4:04x}".encode() + text


def advertised(head: str, more: Iterable[bytes] = ()) -> Iterator[bytes]:
    yield line(f"{head} refs/heads/main\0side-band-64k ofs-delta\n".encode())
    yield from more
    yield b"0000"


def refs(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield line(f"{number + 1:040x} refs/heads/main{number}\n".encode())


def endless_pack() -> Iterator[bytes]:
    yield line(b"\x01PACK\0\0\0\2\xff\xff\xff\xff")
    for number in range(1 << 30):
        body = packed(BLOB, os.urandom(60_000) + number.to_bytes(4, "big"))
        yield line(b"\x01" + body)


def dripping() -> Iterator[bytes]:
    for byte in line(f"{MISSING} refs/heads/main\0\n".encode()) * 1000:
        time.sleep(0.3)
        yield bytes([byte])


def saying(words: Iterator[bytes]) -> Iterator[bytes]:
    """What the host wants to be shown on the client's stderr."""
    return (line(b"\x02" + word) for word in words)


def sent(content: bytes) -> Iterator[bytes]:
    yield from (line(b"\x01" + content[start : start + 60_000]) for start in range(0, len(content), 60_000))
    yield b"0000"


ADVERTISEMENTS: dict[str, Callable[[], Iterator[bytes]]] = {
    "many-refs": lambda: advertised(MISSING, refs(1_000_000)),
    "endless-refs": lambda: advertised(MISSING, refs(1 << 60)),
    "endless-line": lambda: repeat(b"fff0" + b"x" * 0xFFEC),
    "dripping": dripping,
    "silent": lambda: repeat(b"", 0),
}
ANSWERS: dict[str, Callable[[], Iterator[bytes]]] = {
    "endless-pack": endless_pack,
    "endless-words": lambda: saying(repeat(b"look at this\n" * 4000)),
    "endless-line-of-words": lambda: saying(repeat(b"x" * 60_000)),
}


class Client(socketserver.StreamRequestHandler):
    """One client of one repository; it is told the head, and sent the bomb when it asks for it."""

    built: ClassVar[dict[str, tuple[str, bytes]]] = {}

    def handle(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            request = self.rfile.read(int(self.rfile.read(4), 16) - 4)
            repository, _, only_built = request.split()[1].partition(b"\0")[0].decode().strip("/").partition("/")
            head, content = self._bomb(repository)
            if only_built:
                return
            self._send(ADVERTISEMENTS.get(repository, lambda: advertised(head))())
            if self._is_asked():
                self._send(ANSWERS.get(repository, lambda: sent(content))())
            if repository in ADVERTISEMENTS:
                time.sleep(600)

    def _bomb(self, repository: str) -> tuple[str, bytes]:
        if repository in BOMBS and repository not in self.built:
            head, objects = BOMBS[repository]()
            self.built[repository] = head, pack(objects)
        return self.built.get(repository, (MISSING, b""))

    def _send(self, parts: Iterator[bytes]) -> None:
        for part in parts:
            self.wfile.write(part)

    def _is_asked(self) -> bool:
        """Whether the client wants something. None of the commits that it has is known here."""
        wanted = False
        while length := self.rfile.read(4):
            said = self.rfile.read(max(0, int(length, 16) - 4))
            if said.startswith(b"done") or (wanted and not said):
                self.wfile.write(line(b"NAK\n"))
            wanted = wanted or not said
            if said.startswith(b"done"):
                return True
        return False


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server(("", int(sys.argv[1])), Client).serve_forever()
