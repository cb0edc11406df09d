"""A NAT router, such as a home or a cloud puts between a LAN and the internet."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.address import Network
from lab.host import Host
from lab.segment import Segment
from lab.tree import Tree

FORGET_TRANSLATIONS = Path(__file__).with_name("conntrack.py")


class Router(Host):
    """Masquerades the LAN of its bridge `lan` to its `eth0`, in both families.

    Port-preserving as Linux does it, or symmetric: another random port for every destination.
    """

    extra = "echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding"

    def __init__(self, name: str, capsule: Tree, directory: Path, lan: Network) -> None:
        super().__init__(name, capsule, directory)
        self.lan = Segment(self.tree, "lan")
        inner = lan.router()
        self.ip(f"address add {inner.v4} dev lan", f"address add {inner.v6} dev lan nodad")
        gateway = lan.host(2)
        assert gateway.v4 is not None
        assert gateway.v6 is not None
        self._gateway = gateway.v4.ip, gateway.v6.ip
        self.forward(None)

    def forward(self, port: int | None, *, symmetric: bool = False, to: int | None = None) -> None:
        """Forward UDP `port` of the WAN address to `to` (the same port) of the gateway; None: nothing.

        What comes unasked from the internet is dropped, so that it cannot claim a port of a flow to come.
        """
        forwards = ""
        if port is not None:
            v4, v6 = self._gateway
            forwards = f"""
                iifname "eth0" udp dport {port} dnat ip to {v4}:{to or port}
                iifname "eth0" udp dport {port} dnat ip6 to [{v6}]:{to or port}"""
        masquerade = "masquerade random,fully-random" if symmetric else "masquerade"
        self.nft(f"""
            table inet nat
            delete table inet nat
            table inet nat {{
                chain prerouting {{
                    type nat hook prerouting priority dstnat
                    {forwards}
                }}
                chain postrouting {{
                    type nat hook postrouting priority srcnat
                    oifname "eth0" {masquerade}
                }}
                chain input {{
                    type filter hook input priority filter
                    iifname "eth0" meta l4proto {{ tcp, udp }} ct state new drop
                }}
                chain forward {{
                    type filter hook forward priority filter
                    iifname "eth0" ct state new ct status dnat accept
                    iifname "eth0" ct state new drop
                }}
            }}""")
        self.forget_translations()

    def renumber(self, address: str | None = None, address6: str | None = None) -> None:
        """Get another WAN address from the provider; translations to the old one are forgotten."""
        super().renumber(address, address6)
        self.forget_translations()

    def forget_translations(self) -> None:
        """Empty the connection table, as a router does that restarts."""
        self.run([sys.executable, "-S", "-E", FORGET_TRANSLATIONS])
