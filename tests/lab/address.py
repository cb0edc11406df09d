"""Where a host lives in a dual-stack network, and the `ip` commands that put it there."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Addresses:
    """The addresses of one `eth0`, each with its router (None: no default route in that family)."""

    v4: ipaddress.IPv4Interface | None = None
    router4: ipaddress.IPv4Address | None = None
    v6: ipaddress.IPv6Interface | None = None
    router6: ipaddress.IPv6Address | None = None

    def to_add(self) -> Iterator[str]:
        if self.v4:
            yield f"address add {self.v4} dev eth0"
        if self.router4:
            yield f"route replace default via {self.router4} dev eth0"
        if self.v6:
            yield f"address add {self.v6} dev eth0 nodad"
        if self.router6:
            yield f"route replace default via {self.router6} dev eth0"

    def to_move(self, new: Addresses) -> Iterator[str]:
        """The old address goes before the new one comes, as when a lease ends."""
        if self.v4 and self.v4 != new.v4:
            yield f"address delete {self.v4} dev eth0"
            yield from dataclasses.replace(new, v6=None, router6=None).to_add()
        if self.v6 and self.v6 != new.v6:
            yield f"address delete {self.v6} dev eth0"
            yield from dataclasses.replace(new, v4=None, router4=None).to_add()

    def moved(self, v4: str | None, v6: str | None) -> Addresses:
        """The same network, other addresses."""
        return dataclasses.replace(
            self,
            v4=ipaddress.IPv4Interface(f"{v4}/{self.v4.network.prefixlen}") if v4 and self.v4 else self.v4,
            v6=ipaddress.IPv6Interface(f"{v6}/{self.v6.network.prefixlen}") if v6 and self.v6 else self.v6,
        )

    def routed_by(self, router: Addresses) -> Addresses:
        """The same addresses with another machine of the network as the router."""
        return dataclasses.replace(
            self, router4=router.v4.ip if router.v4 else None, router6=router.v6.ip if router.v6 else None
        )


@dataclasses.dataclass(frozen=True)
class Network:
    """A dual-stack network whose router is the first host of either family."""

    v4: ipaddress.IPv4Network
    v6: ipaddress.IPv6Network

    @classmethod
    def behind_nat(cls, lan: str) -> Network:
        """A LAN with a unique local IPv6 network made of the digits of its IPv4 one."""
        v4 = ipaddress.IPv4Network(lan)
        digits = int(v4.network_address)
        return cls(v4, ipaddress.IPv6Network(f"fd00:{digits >> 16:x}:{digits & 0xFFFF:x}::/64"))

    def router(self) -> Addresses:
        """The router's own side of the network."""
        return dataclasses.replace(self.at(str(self.v4[1]), str(self.v6[1])), router4=None, router6=None)

    def host(self, number: int) -> Addresses:
        """The host with this number in both families."""
        return self.at(str(self.v4[number]), str(self.v6[number]))

    def at(self, address: str | None, address6: str | None) -> Addresses:
        """A host with these addresses, its default routes via the router."""
        return Addresses(
            ipaddress.IPv4Interface(f"{address}/{self.v4.prefixlen}") if address else None,
            self.v4[1] if address else None,
            ipaddress.IPv6Interface(f"{address6}/{self.v6.prefixlen}") if address6 else None,
            self.v6[1] if address6 else None,
        )
