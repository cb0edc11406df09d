"""An access provider: a router without NAT, so that packets between its customers' routers and others' take hops."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from lab.address import Network
from lab.host import Host
from lab.segment import Line, Segment
from lab.tree import Tree


class Provider(Host):
    """The provider with this number, from 0: its customers have 198.18.NUMBER.0/24 and 2001:db8:12:NUMBER::/64."""

    extra = "echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding"

    def __init__(self, name: str, capsule: Tree, directory: Path, number: int) -> None:
        super().__init__(name, capsule, directory)
        network = Network(
            ipaddress.IPv4Network(f"198.18.{number}.0/24"), ipaddress.IPv6Network(f"2001:db8:12:{number:x}::/64")
        )
        self.line = Line(Segment(self.tree, "customers"), network)
        self.v4, self.v6 = f"203.0.113.{250 - number}", f"2001:db8::ffff:{number:x}"
        inner = network.router()
        self.ip(f"address add {inner.v4} dev customers", f"address add {inner.v6} dev customers nodad")

    def routes(self) -> Iterator[str]:
        """For the switch's router: how its customers are reached."""
        network = self.line.network
        yield f"route add {network.v4} via {self.v4}"
        yield f"route add {network.v6} via {self.v6}"
