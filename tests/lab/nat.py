"""The kinds of NAT that routers of the lab are, as values and as nftables rules."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator

Gateway = tuple[ipaddress.IPv4Address, ipaddress.IPv6Address]
"""The machine of the LAN to which ports are forwarded."""
KEPT = range(51820, 51824)
"""The listen ports of nodes in one LAN."""


@dataclasses.dataclass(frozen=True)
class Nat:
    """How a router translates UDP, and what it lets in from outside.

    ``hard``: another random port for each destination; else the port is kept. ``by_address``: a machine that was sent
    something may answer from any port; else only from that one. ``forwards``: this port of the WAN address leads to the
    gateway. ``whole``: every port does, 1:1. ``accepts``: the router takes what it was not asked for as sent to itself,
    which occupies that pair of ports for half a minute; else it drops it, without a trace.
    """

    hard: bool = False
    by_address: bool = False
    forwards: int | None = None
    whole: bool = False
    accepts: bool = False

    def accepting(self) -> Nat:
        """The same kind, on a router that drops nothing of what is sent to itself."""
        return dataclasses.replace(self, accepts=True)


EASY = Nat()
EASY_BY_ADDRESS = Nat(by_address=True)
HARD = Nat(hard=True)
MAPPED = Nat(forwards=51820)
HARD_MAPPED = Nat(hard=True, forwards=51820)
ONE_TO_ONE = Nat(whole=True)


def rules(nat: Nat, gateway: Gateway, raised: int = 0) -> str:
    """The nftables table `inet nat` of a router whose WAN is `eth0`.

    ``raised``: the ports in KEPT are not kept but made higher by this number, the same for every destination.
    """
    return f"""
        table inet nat
        delete table inet nat
        table inet nat {{
            map asked {{
                type ipv4_addr . inet_service : ipv4_addr . inet_service
                flags dynamic,timeout
                timeout 2m
            }}
            chain prerouting {{
                type nat hook prerouting priority dstnat
                {"; ".join(_inward(nat, gateway))}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat
                {"; ".join(_outward(nat, raised))}
            }}
            chain translated {{
                type filter hook postrouting priority srcnat + 1
                {_REMEMBER if nat.by_address else ""}
            }}
            chain input {{
                type filter hook input priority filter
                {"" if nat.accepts else 'iifname "eth0" meta l4proto { tcp, udp } ct state new drop'}
            }}
            chain forward {{
                type filter hook forward priority filter
                iifname "eth0" ct state new ct status dnat accept
                iifname "eth0" ct state new drop
            }}
        }}"""


_REMEMBER = (
    'oifname "eth0" ct direction original meta nfproto ipv4 '
    "update @asked { ip daddr . udp sport : ct original ip saddr . ct original proto-src }"
)


def _inward(nat: Nat, gateway: Gateway) -> Iterator[str]:
    """Only of what is sent to the address that the router has now: who remembers its MAC may still send to another."""
    v4, v6 = gateway
    ours = 'iifname "eth0" fib daddr type local'
    if nat.forwards is not None:
        yield f"{ours} udp dport {nat.forwards} dnat ip to {v4}:{nat.forwards}"
        yield f"{ours} udp dport {nat.forwards} dnat ip6 to [{v6}]:{nat.forwards}"
    if nat.whole:
        yield f"{ours} dnat ip to {v4}"
        yield f"{ours} dnat ip6 to {v6}"
    if nat.by_address:
        yield f"{ours} meta nfproto ipv4 dnat ip to ip saddr . udp dport map @asked"


def _outward(nat: Nat, raised: int) -> Iterator[str]:
    if raised and not nat.hard:
        yield from (f'oifname "eth0" udp sport {port} masquerade to :{port + raised}' for port in KEPT)
    yield f'oifname "eth0" masquerade{" random,fully-random" if nat.hard else ""}'
