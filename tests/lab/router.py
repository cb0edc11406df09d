"""A NAT router, such as a home, a cloud or a carrier puts between a LAN and the internet."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.address import Network
from lab.host import Host
from lab.nat import EASY, Nat, rules
from lab.segment import Line, Segment
from lab.tree import Tree

FORGET_TRANSLATIONS = Path(__file__).with_name("conntrack.py")


class Router(Host):
    """Translates what leaves the LAN of its bridge `lan` by its `eth0`, in both families."""

    extra = "echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding"

    def __init__(self, name: str, capsule: Tree, directory: Path, lan: Network, nat: Nat = EASY) -> None:
        super().__init__(name, capsule, directory)
        self.lan = Segment(self.tree, "lan")
        self.line = Line(self.lan, lan)
        inner = lan.router()
        self.ip(f"address add {inner.v4} dev lan", f"address add {inner.v6} dev lan nodad")
        gateway = lan.host(2)
        assert gateway.v4 is not None
        assert gateway.v6 is not None
        self._gateway = gateway.v4.ip, gateway.v6.ip
        self._nat, self._raised = nat, 0
        self.translate(nat)

    def translate(self, nat: Nat) -> None:
        """Be a NAT of this kind from now on; translations so far are forgotten."""
        self._nat = nat
        self.nft(rules(nat, self._gateway, self._raised))
        self.forget_translations()

    def renumber(self, address: str | None = None, address6: str | None = None) -> None:
        """Get another WAN address from the provider; translations to the old one are forgotten."""
        super().renumber(address, address6)
        self.forget_translations()

    def forget_translations(self) -> None:
        """Empty the connection table, as a router does that restarts. One that keeps ports will keep them again."""
        self.nft("flush map inet nat asked")
        self.run([sys.executable, "-S", "-E", FORGET_TRANSLATIONS])

    def change_ports(self) -> None:
        """Forget the translations, and give WireGuard's ports others than before, as if they had been taken."""
        self._raised += 100
        self.translate(self._nat)

    def block_udp(self) -> None:
        """Let no UDP pass but questions for names, as some companies do."""
        self.nft("""table inet no-udp {
            chain forward {
                type filter hook forward priority -1
                udp dport 53 accept
                udp sport 53 accept
                meta l4proto udp drop
            }
        }""")

    def unblock_udp(self) -> None:
        """Let UDP pass again."""
        self.run(["nft", "delete", "table", "inet", "no-udp"])
