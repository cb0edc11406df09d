"""miniupnpd on a router of the lab: what makes a home router forward ports when it is asked to."""

from __future__ import annotations

from pathlib import Path

from lab.router import Router
from lab.service import Service, listening

CHAINS = """
table inet miniupnpd
delete table inet miniupnpd
table inet miniupnpd {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward { type filter hook forward priority -1; jump miniupnpd; }
    chain prerouting { type nat hook prerouting priority dstnat - 1; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority srcnat - 1; jump postrouting_miniupnpd; }
}
"""
CONFIGURATION = {
    "ext_ifname": "eth0", "listening_ip": "lan", "ipv6_disable": "yes", "uuid": "00000000-0000-0000-0000-000000000001",
    "enable_natpmp": "yes", "enable_upnp": "yes", "secure_mode": "yes",
    "upnp_table_name": "miniupnpd", "upnp_nat_table_name": "miniupnpd", "upnp_forward_chain": "miniupnpd",
    "upnp_nat_chain": "prerouting_miniupnpd", "upnp_nat_postrouting_chain": "postrouting_miniupnpd",
}  # fmt: skip


class Miniupnpd(Service):
    """Maps ports of the router's WAN address, unless that is private or set aside for documents (`Lab.assigned`)."""

    def __init__(self, router: Router, **options: str) -> None:
        self._router = router
        self._file = router.directory / "miniupnpd.conf"
        argv: list[str | Path] = ["miniupnpd", "-d", "-f", self._file, "-P", "/run/miniupnpd.pid"]
        super().__init__(router, argv, ready="")
        self.configure(**options)

    def configure(self, **options: str) -> None:
        """What it does from its next start on; keys of miniupnpd.conf(5)."""
        settings = {**CONFIGURATION, **options}
        self._file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        kind, port = ("udp", 5351) if settings["enable_natpmp"] == "yes" else ("udp", 1900)
        self._ready = listening(kind, port)

    def launch(self) -> None:
        """Start with no mapping, as after a power cut."""
        self._router.nft(CHAINS)
        super().launch()

    def restart(self) -> None:
        """The router loses its power, and is back at once."""
        self.kill()
        self._router.forget_translations()
        self.start()

    def forwarded(self) -> str:
        """The rules that translate what comes from outside."""
        return self._router.run(["nft", "list", "chain", "inet", "miniupnpd", "prerouting_miniupnpd"]).stdout
