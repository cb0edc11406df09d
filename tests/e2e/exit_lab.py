"""An exit, and what uses it: machines with a public address of their own, one behind a NAT, and a witness outside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import Lab, Node
from lab.host import Host
from lab.mesh import Mesh
from lab.program import Program
from lab.waiting import LONG, eventually

PORT = 7777
BOTH = ["0.0.0.0/0", "::/0"]
SERVE = f"""
import socket
server = socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    client, address = server.accept()
    client.sendall(address[0].removeprefix("::ffff:").encode())
    client.close()
"""
TALK = f"""
import socket, sys
if len(sys.argv) > 1:
    talk = socket.create_connection((sys.argv[1], {PORT + 1}), timeout=10).makefile("rw")
    for line in sys.stdin:
        print(line, file=talk, end="", flush=True)
        print(talk.readline(), end="", flush=True)
else:
    server = socket.create_server(("::", {PORT + 1}), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    talk = server.accept()[0].makefile("rw")
    for line in talk:
        print(line, file=talk, end="", flush=True)
"""
ASK = f"""
import socket, sys
print(socket.create_connection((sys.argv[1], {PORT}), timeout=4).recv(99).decode())
"""


class ExitLab:
    """`exit` on the internet masquerades what comes by the mesh; `pub` and `far` have public addresses behind a router,
    `home` is behind a NAT. Git, DNS and `world`, the witness, are reached by everybody's default route.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = mesh = Mesh(lab, networks=["10.0.0.0/24", "fd00:77::/64"])
        self.exit = mesh.node("exit", 12, addresses=["10.0.0.12", "fd00:77::12"], endpoint="203.0.113.12:51820")
        mesh.configure(self.exit, gateway={"masquerade": "eth0"})
        self.pub, self.far = (self._far(name, number) for name, number in (("pub", 20), ("far", 21)))
        self.home = lab.site("home", "192.168.10.0/24", "203.0.113.11", "2001:db8::11").gateway
        mesh.enlist(
            "home",
            self.home,
            address="10.0.0.11",
            addresses=["10.0.0.11", "fd00:77::11"],
            endpoint="203.0.113.11:51820",
        )
        self.world = lab.node("world", "203.0.113.99", "2001:db8::99")
        for node in (self.world, self.pub):
            serve(node)

    def _far(self, name: str, number: int) -> Node:
        addresses = [f"10.0.0.{number}", f"fd00:77::{number}"]
        endpoint = f"198.51.100.{number}:51820"
        node = self.lab.far(name, number)
        return self.mesh.enlist(name, node, address=addresses[0], addresses=addresses, endpoint=endpoint)

    def begin(self) -> None:
        """No peer offers an exit, none uses one, and all are in sync."""
        self.mesh.set("exit", subnets=None, enabled=None)
        self.mesh.set("pub", persistent_keepalive=None)
        self.use(exit_=None)
        for name in self.mesh.nodes:
            asking = {"urls": [self.mesh.url], "deadline": 6}
            self.mesh.configure(self.mesh.nodes[name], accept_exit=None, git_past_exit=None, repository=asking)
        self.push("as in the beginning")

    def push(self, message: str) -> None:
        """Push, and have every node at it."""
        head = self.mesh.push(message)
        if {done["commit"] for done in passes(*self.mesh.nodes.values())} != {head}:
            self.mesh.now()

    def offer(self, *subnets: str) -> None:
        """Push that `exit` offers these."""
        self.mesh.set("exit", subnets=list(subnets) or BOTH)

    def use(self, *names: str, exit_: str | None = "exit") -> None:
        """These (else all) use the exit, or none."""
        for name in names or ("pub", "far", "home"):
            self.mesh.set(name, exit=exit_)

    @contextmanager
    def dead(self) -> Iterator[None]:
        """The exit is off the net through the body."""
        self.exit.port.unplug()
        try:
            yield
        finally:
            self.exit.port.plug()


@contextmanager
def stub(node: Node, lab: Lab) -> Iterator[None]:
    """The node asks a local nameserver, which asks the lab's; a file says so, as systemd-resolved(8) has it."""
    resolver = Path(__file__).with_name("failing_resolver.py")
    node.run(["mkdir", "-p", "/run/systemd/resolve"])
    node.run(["sh", "-c", f"echo nameserver {lab.dns.address} >/run/systemd/resolve/resolv.conf"])
    program = node.popen([sys.executable, resolver, "127.0.0.53", lab.dns.address, lab.directory / f"{node.name}.stub"])
    node.set_resolvers("127.0.0.53")
    try:
        yield
    finally:
        program.kill()
        node.set_resolvers(lab.dns.address)


def passes(*nodes: Node) -> list[dict[str, Any]]:
    """One `mesh-sync now` on each of these at once, however it ends."""
    running = [node.popen(["mesh-sync", "now", "--json"]) for node in nodes]
    return [json.loads(program.communicate(timeout=90)[0]) for program in running]


def serve(node: Host) -> Program:
    """A server that tells each client the address that it sees."""
    server = node.popen([sys.executable, "-c", SERVE])
    assert server.stdout
    assert server.stdout.readline().strip() == "ready"
    return server


class Session:
    """A TCP connection from one machine to another that stays open."""

    def __init__(self, client: Host, server: Host, address: str) -> None:
        self._server = server.popen([sys.executable, "-c", TALK])
        assert self._server.stdout
        assert self._server.stdout.readline() == "ready\n"
        self._client = client.popen([sys.executable, "-c", TALK, address], stdin=subprocess.PIPE)
        assert self.answers()

    def answers(self) -> bool:
        """Whether a line comes back; waits for retransmissions."""
        assert self._client.stdin
        assert self._client.stdout
        print("hello", file=self._client.stdin, flush=True)
        return self._client.stdout.readline() == "hello\n"

    def close(self) -> None:
        for program in (self._client, self._server):
            program.kill()
            program.communicate(timeout=10)


def seen_from(node: Host, address: str) -> str:
    """The address under which the server at ``address`` sees `node`; empty when it does not answer."""
    done = node.run([sys.executable, "-c", ASK, address], check=False)
    return done.stdout.strip()


def becomes_seen(node: Host, address: str, expected: Iterable[str], seconds: float = LONG) -> str:
    """The same, once it is one of those expected; else what it was last."""
    last = ""

    def is_it() -> bool:
        nonlocal last
        last = seen_from(node, address)
        return last in expected

    eventually(is_it, seconds=seconds)
    return last


@contextmanager
def strict(*nodes: Host) -> Iterator[None]:
    """A reverse path filter of 1 on every interface of these nodes."""
    for value in (1, 0):
        for node in nodes:
            node.run(["sh", "-c", f"for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo {value} >$f; done"])
        if value:
            yield
