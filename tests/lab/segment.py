"""A layer-2 segment: a bridge in the namespace of one host, to which others are cabled."""

from __future__ import annotations

import dataclasses
import secrets
import subprocess
from typing import Literal

from lab.address import Network
from lab.tree import ENVIRONMENT, LabError, Tree

Family = Literal["ipv4", "ipv6"]

_ETHER_TYPE: dict[Family, str] = {"ipv4": "ip", "ipv6": "ip6"}


class Segment:
    """A bridge named `bridge` in the tree that owns it.

    Its MAC address is set: one that is not becomes the lowest of those connected, and a router whose address changes so
    forgets its neighbours, and what waited for their answer is lost.
    """

    def __init__(self, owner: Tree, bridge: str) -> None:
        self._owner = owner
        self.bridge = bridge
        self.command("ip", "link", "add", bridge, "address", f"02:{secrets.token_bytes(5).hex(':')}", "type", "bridge")
        self.command("ip", "link", "set", bridge, "up")

    def plug(self, name: str, tree: Tree, device: str = "eth0") -> Port:
        """Lay a cable from a port called `name` to a new `device` in the tree."""
        lines = (
            f"link add name {name} type veth peer name {device} netns {tree.pid}",
            f"link set dev {name} master {self.bridge} up",
        )
        self.command("ip", "-batch", "-", input="\n".join(lines) + "\n")
        return Port(self, name)

    def command(self, *argv: str, input: str | None = None) -> None:
        done = subprocess.run(
            [*self._owner.enter_network, *argv],
            env=dict(ENVIRONMENT),
            input=input,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        if done.returncode:
            raise LabError(f"{' '.join(argv)}: {done.stderr.strip()}")


@dataclasses.dataclass(frozen=True)
class Line:
    """Where one can be connected: a segment, and the network whose addresses are used on it."""

    segment: Segment
    network: Network


class Port:
    """The far end of a host's cable: what is done here is, to the host, the network failing, not itself."""

    def __init__(self, segment: Segment, name: str) -> None:
        self.segment = segment
        self.name = name

    def unplug(self) -> None:
        """The host's link loses its carrier; its addresses and routes stay."""
        self.segment.command("ip", "link", "set", "dev", self.name, "down")

    def plug(self) -> None:
        """The carrier comes back."""
        self.segment.command("ip", "link", "set", "dev", self.name, "up")

    def block(self, family: Family) -> None:
        """Swallow every packet of the family to and from the host, without a sound."""
        kind = _ETHER_TYPE[family]
        self.segment.command(
            *("nft", "-f", "-"),
            input=f"""
                table bridge {self.name}-{family} {{
                    chain from {{
                        type filter hook prerouting priority 0
                        iifname "{self.name}" ether type {kind} drop
                    }}
                    chain to {{
                        type filter hook postrouting priority 0
                        oifname "{self.name}" ether type {kind} drop
                    }}
                }}""",
        )

    def unblock(self, family: Family) -> None:
        """Let the family through again."""
        self.segment.command("nft", "delete", "table", "bridge", f"{self.name}-{family}")

    def remove(self) -> None:
        """Pull the cable out for good. Deleting it here is immediate; with its namespace it would linger."""
        self.segment.command("ip", "link", "delete", "dev", self.name)
