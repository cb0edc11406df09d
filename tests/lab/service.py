"""A daemon on a host that can be frozen, killed and started again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lab.host import Host

DEADLINE = 10

# The daemon becomes a child of the host's init, so nothing outside the lab waits for it or stops with it.
IN_THE_BACKGROUND = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'


class Service:
    """A program that stays in the foreground, and a shell command that succeeds once it serves."""

    def __init__(self, host: Host, argv: Sequence[str | Path], ready: str) -> None:
        self._host = host
        self._argv = argv
        self._ready = ready
        self._pid = 0

    def launch(self) -> None:
        """Start without waiting; `wait` does that."""
        log = self._host.directory / "log"
        self._pid = int(self._host.run(["sh", "-c", IN_THE_BACKGROUND, "sh", log, *self._argv]).stdout)

    def wait(self) -> None:
        """Return when the service answers. Raise TimeoutExpired if it does not."""
        self._until(self._ready)

    def start(self) -> None:
        self.launch()
        self.wait()

    def freeze(self) -> None:
        """Stop it where it is: the kernel still accepts connections for it, nobody answers."""
        self._signal("STOP")

    def thaw(self) -> None:
        """Go on, with whatever waited meanwhile."""
        self._signal("CONT")

    def kill(self) -> None:
        """End it at once; its port refuses from now on."""
        self._signal("KILL")
        self._until(f"! kill -0 {self._pid} 2>/dev/null")

    def _signal(self, name: str) -> None:
        assert self._pid, "the service was never started"
        self._host.run(["kill", f"-{name}", str(self._pid)])

    def _until(self, condition: str) -> None:
        self._host.run(["sh", "-c", f"until {condition}; do sleep 0.02; done"], timeout=DEADLINE)


TARPIT = """
import signal, socket, sys
listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
signal.pause()
"""


def tarpit(host: Host, port: int) -> Service:
    """A TCP port that accepts, by the kernel's hand, and never says a word."""
    service = Service(host, [sys.executable, "-c", TARPIT, str(port)], listening("tcp", port))
    service.start()
    return service


def listening(protocol: str, port: int) -> str:
    """The shell command that tells whether somebody listens on the port."""
    return f"ss -Hln --{protocol} sport = :{port} | grep -q ."
