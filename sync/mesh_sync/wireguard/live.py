"""What one interface is right now: read from `wg show dump` and `ip -json`, parsed here without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from mesh_sync.wireguard.desired import EXIT_TABLE, Desired, DesiredPeer
from mesh_sync.wireguard.forward_chains import Found


@frozen
class LivePeer:
    """One peer as the kernel has it. ``handshake`` in Unix seconds, 0 = never; ``keepalive`` 0 = off."""

    public_key: str
    allowed_ips: frozenset[str]
    endpoint: str = ""
    keepalive: int = 0
    handshake: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    preshared_key: str = field(default="", repr=False)


@frozen
class Live:
    """The interface as it is. ``routes`` and ``exit_routes`` are those of its own device, by table as in `Desired`.

    ``fits``: the MTU that the ways to the endpoints leave for it, 0 if not known (see `mtu`).
    ``sysctls`` are those that are 1, ``turned_on`` those that mesh-sync made so. ``forward``: what others' chains do to
    packets that are forwarded, on a node that forwards.
    """

    public_key: str = ""
    private_key: str = field(default="", repr=False)
    listen_port: int = 0
    fwmark: int = 0
    mtu: int = 0
    fits: int = 0
    up: bool = False
    addresses: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    exit_routes: frozenset[str] = frozenset()
    exit_rules: frozenset[int] = frozenset()
    peers: Mapping[str, LivePeer] = field(factory=dict)
    sysctls: frozenset[str] = frozenset()
    turned_on: frozenset[str] = frozenset()
    firewall: frozenset[str] = frozenset()
    forward: Found = Found()


def as_desired(live: Live) -> Desired:
    """The interface as it is, as the one that is desired: to have it back where nothing else is known of it."""
    peers = (
        DesiredPeer(
            name=key,
            public_key=key,
            addresses=tuple(sorted(peer.allowed_ips)),
            allowed_ips=peer.allowed_ips,
            keepalive=peer.keepalive,
            preshared_key=peer.preshared_key,
        )
        for key, peer in live.peers.items()
    )
    return Desired(
        mesh="",
        name="",
        public_key=live.public_key,
        listen_port=live.listen_port,
        mtu=live.mtu,
        addresses=live.addresses,
        routes=live.routes,
        exit_routes=live.exit_routes,
        peers=tuple(peers),
        sysctls=live.turned_on,
        firewall=live.firewall,
    )


def parse_dump(text: str) -> dict[str, Any]:
    """Given `wg show IF dump`, return the fields of `Live` it tells. ValueError if it is not one (fact 8).

    The text holds secrets: it is never part of an error.
    """
    lines = text.splitlines()
    try:
        private, public, port, mark = lines[0].split("\t")
        peers = [_parse_peer(line) for line in lines[1:]]
        return {
            "private_key": "" if private == "(none)" else private,
            "public_key": "" if public == "(none)" else public,
            "listen_port": int(port),
            "fwmark": 0 if mark == "off" else int(mark, 0),
            "peers": {peer.public_key: peer for peer in peers},
        }
    except (ValueError, IndexError):
        raise ValueError("`wg show dump` printed something unexpected") from None


def _parse_peer(line: str) -> LivePeer:
    key, psk, endpoint, allowed, handshake, rx, tx, keepalive = line.split("\t")
    return LivePeer(
        public_key=key,
        preshared_key="" if psk == "(none)" else psk,
        endpoint="" if endpoint == "(none)" else endpoint,
        allowed_ips=frozenset() if allowed == "(none)" else frozenset(allowed.split(",")),
        handshake=int(handshake),
        rx_bytes=int(rx),
        tx_bytes=int(tx),
        keepalive=0 if keepalive == "off" else int(keepalive),
    )


def parse_link(links: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Given `ip -json address show dev IF`, return mtu, up and the addresses that people set."""
    link = next((link for link in links if link), {})
    addresses = (
        f"{info['local']}/{info['prefixlen']}"
        for info in link.get("addr_info", ())
        if info.get("scope") != "link" and "local" in info
    )
    return {"mtu": link.get("mtu", 0), "up": "UP" in link.get("flags", ()), "addresses": frozenset(addresses)}


TABLES = {"main": "routes", str(EXIT_TABLE): "exit_routes"}
"""Our routing tables, and the fields of `Live` that hold what is in them."""


def parse_routes(routes: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Given `ip -json route show table all`, return the destinations in our tables as networks.

    Which IP version a default route is of, only its preference tells: IPv4 has none (rtnetlink(7), RTA_PREF).
    """
    found: dict[str, set[str]] = {field: set() for field in TABLES.values()}
    for route in routes:
        if (field := TABLES.get(route.get("table", "main"))) and _unicast(route):
            dst = str(route["dst"])
            found[field].add(_network(dst, 6 if ":" in dst or "pref" in route else 4))
    return {field: frozenset(networks) for field, networks in found.items()}


def longest_outside(routes: Iterable[Mapping[str, Any]], interface: str) -> int | None:
    """Given `ip -json route show match ADDRESS`, return the longest prefix of a way that is not by ``interface``."""
    others = (route for route in routes if route.get("dev") != interface and route.get("type", "unicast") == "unicast")
    networks = (_network(str(route["dst"]), 6 if ":" in str(route["dst"]) else 4) for route in others)
    return max((int(network.partition("/")[2]) for network in networks), default=None)


def has_exit_rules(rules: Iterable[Mapping[str, Any]]) -> bool:
    """Given `ip -json rule` of one IP version, return whether unmarked packets take the tunnel's default route."""
    found = {
        (str(rule.get("table")), "not" in rule and "fwmark" in rule, rule.get("suppress_prefixlen")) for rule in rules
    }
    return {(str(EXIT_TABLE), True, None), ("main", False, 0)} <= found


def _unicast(route: Mapping[str, Any]) -> bool:
    dst = str(route.get("dst", ""))
    return bool(dst) and route.get("type", "unicast") == "unicast" and not dst.startswith(("fe80:", "ff00:"))


def _network(dst: str, version: int) -> str:
    if dst == "default":
        return "0.0.0.0/0" if version == 4 else "::/0"
    return dst if "/" in dst else f"{dst}/{32 if version == 4 else 128}"
