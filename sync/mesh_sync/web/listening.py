"""Where the page listens: on a loopback address, or on a Unix socket that is its owner's alone. Nowhere else."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import ConfigError

LOOPBACK = "127.0.0.1"
BACKLOG = 64


@frozen
class Listening:
    """An open socket. ``label`` tells it from other pages on this machine: its port, or a word of its own.

    ``url`` is empty for a Unix socket, which no browser opens by itself.
    """

    socket: socket.socket
    label: str
    url: str


@contextmanager
def on_loopback(port: int = 0) -> Iterator[Listening]:
    """Listen on 127.0.0.1; port 0 is a free one. Raise ConfigError when the port is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((LOOPBACK, port))
            made.listen(BACKLOG)
        except OSError as error:
            hint = "leave --port out, and a free one is taken"
            raise ConfigError(f"port {port} of {LOOPBACK} cannot be had: {error.strerror}", hint=hint) from None
        port = made.getsockname()[1]
        yield Listening(made, str(port), f"http://{LOOPBACK}:{port}/")


@contextmanager
def on_unix_socket(path: Path) -> Iterator[Listening]:
    """Listen on a new socket, 0600 from its first moment, which is removed in the end.

    A socket that an earlier run has left is replaced. Raise ConfigError when another file, or a running page, is there.
    """
    _clear(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as made:
        before = os.umask(0o177)
        try:
            made.bind(str(path))
            made.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(f"--socket {path}: {error.strerror or error}") from None
        finally:
            os.umask(before)
        try:
            yield Listening(made, f"socket{os.getpid()}", "")
        finally:
            with suppress(OSError):
                path.unlink()


def _clear(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"--socket {path}: there is another file, which is no socket")
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(1.0)
            other.connect(str(path))
        raise ConfigError(f"--socket {path}: another program listens there")
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink()
    except OSError as error:
        raise ConfigError(f"--socket {path}: {error.strerror or error}") from None
