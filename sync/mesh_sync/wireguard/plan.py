"""The difference between what an interface should be and what it is, as a list of changes.

Pure. The list that a person reads is the list that `device` carries out; an empty one costs no system call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from mesh_sync.wireguard.desired import Desired, DesiredPeer, Owned
from mesh_sync.wireguard.forward_chains import wanted
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.protocol import is_alive


@frozen
class Change:
    """One difference. ``value`` is what it is about (an address, a route); ``text`` is the sentence for people.

    A change that is not ``acted`` on is only reported.
    """

    kind: str
    text: str
    peer: str | None = None
    value: str = ""
    acted: bool = True

    def as_json(self) -> dict[str, str | None]:
        return {"kind": self.kind, "peer": self.peer, "text": self.text}


@frozen
class Context:
    """What a plan needs to know besides the two states.

    ``given``: the declared endpoint last fed to the kernel, ``names``: what peers were called that may be no more; by
    public key. ``moment``: wall clock, Unix seconds.
    """

    owned: Owned = Owned()
    given: Mapping[str, str] = {}
    names: Mapping[str, str] = {}
    moment: float = 0.0
    remove_foreign: bool = False


def plan(desired: Desired, live: Live | None, context: Context) -> tuple[Change, ...]:
    """Everything that has to change, in the order of carrying it out: what is new comes before what goes."""
    if live is None:
        return (Change("interface-added", "create the interface"), *_differences(desired, Live(), context))
    return tuple(_differences(desired, live, context))


def _differences(desired: Desired, live: Live, context: Context) -> Iterator[Change]:
    for address in sorted(desired.addresses - live.addresses):
        yield Change("address-added", f"address {address} added", value=address)
    if desired.mtu != live.mtu:
        yield Change(
            "mtu", f"MTU {live.mtu or 'unset'} -> {desired.mtu or 'as the route has it'}", value=str(desired.mtu)
        )
    yield from _device(desired, live)
    yield from _peers(desired, live, context)
    if not live.up:
        yield Change("link-up", "link set up")
    for route in sorted(desired.routes - live.routes):
        yield Change("route-added", f"route {route} added", value=route)
    for route in sorted(desired.exit_routes - live.exit_routes):
        yield Change("exit-route-added", f"route {route} added, past which the tunnel's own packets go", value=route)
    yield from _exit_rules(desired, live)
    for route in sorted((live.exit_routes & context.owned.exit_routes) - desired.exit_routes):
        yield Change("exit-route-removed", f"route {route} removed", value=route)
    for route in sorted((live.routes & context.owned.routes) - desired.routes):
        yield Change("route-removed", f"route {route} removed", value=route)
    for address in sorted((live.addresses & context.owned.addresses) - desired.addresses):
        yield Change("address-removed", f"address {address} removed", value=address)
    yield from _gateway(desired, live)


def _device(desired: Desired, live: Live) -> Iterator[Change]:
    if desired.public_key != live.public_key:
        yield Change("private-key", f"private key set, public key is {desired.public_key}")
    if desired.listen_port != live.listen_port:
        yield Change("listen-port", f"listen port {live.listen_port or 'unset'} -> {desired.listen_port}")
    if desired.fwmark != live.fwmark:
        yield Change("fwmark", f"firewall mark {live.fwmark or 'off'} -> {desired.fwmark or 'off'}")


def _peers(desired: Desired, live: Live, context: Context) -> Iterator[Change]:
    for peer in desired.peers:
        known = live.peers.get(peer.public_key)
        if known is None:
            yield Change("peer-added", f"peer {peer.name} added", peer.name, peer.public_key)
        else:
            yield from _peer(peer, known, context)
    ours = {peer.public_key for peer in desired.peers}
    stay = {peer.name for peer in desired.peers}
    for key in sorted(live.peers.keys() - ours):
        if key in context.owned.peers:
            name = context.names.get(key)
            who = f"{name}: key {key}" if name in stay else name or key
            yield Change("peer-removed", f"peer {who} removed", name, key)
        else:
            text = f"peer {key} is not in the mesh: it was added by hand; "
            text += "removed" if context.remove_foreign else "kept"
            yield Change("foreign-peer", text, value=key, acted=context.remove_foreign)


def _peer(peer: DesiredPeer, live: LivePeer, context: Context) -> Iterator[Change]:
    name, key = peer.name, peer.public_key
    if peer.allowed_ips != live.allowed_ips:
        gone, new = live.allowed_ips - peer.allowed_ips, peer.allowed_ips - live.allowed_ips
        parts = [f"{sign} {', '.join(sorted(ips))}" for sign, ips in (("added", new), ("removed", gone)) if ips]
        yield Change("allowed-ips", f"peer {name}: allowed IPs {', '.join(parts)}", name, key)
    if peer.keepalive != live.keepalive:
        yield Change(
            "keepalive", f"peer {name}: keepalive {live.keepalive or 'off'} -> {peer.keepalive or 'off'}", name, key
        )
    if peer.preshared_key != live.preshared_key:
        done = ("changed" if live.preshared_key else "set") if peer.preshared_key else "removed"
        yield Change("preshared-key", f"peer {name}: preshared key {done}", name, key)
    yield from _endpoint(peer, live, context)


def _endpoint(peer: DesiredPeer, live: LivePeer, context: Context) -> Iterator[Change]:
    """The list never overwrites the endpoint of a peer that is alive (rule R9); it waits until that one is stale."""
    name, key = peer.name, peer.public_key
    declared, given = ", ".join(peer.endpoint), context.given.get(key, "")
    if declared and not live.endpoint:
        yield Change("endpoint", f"peer {name}: endpoint set to {declared}", name, key)
    elif is_alive(live.handshake, context.moment):
        return
    elif declared and (declared != given or _strayed(peer, live)):
        yield Change("endpoint", f"peer {name}: endpoint {live.endpoint} -> {declared}", name, key)
    elif not declared and given and live.endpoint:
        yield Change("endpoint-removed", f"peer {name}: endpoint {live.endpoint} removed", name, key)


def _strayed(peer: DesiredPeer, live: LivePeer) -> bool:
    """Whether a stale peer's endpoint is none of its declared ones, all of them literal addresses."""
    return live.endpoint not in peer.endpoint and all(map(is_literal, peer.endpoint))


def is_literal(endpoint: str) -> bool:
    """Whether a valid endpoint is an address and a port, as `Endpoint.parse` has it, without importing ipaddress."""
    return endpoint.startswith("[") or not endpoint.strip("0123456789.:")


def _exit_rules(desired: Desired, live: Live) -> Iterator[Change]:
    needed = desired.exit_versions
    for version in sorted(needed - live.exit_rules):
        yield Change("exit-rule-added", f"IPv{version} exit through the tunnel", value=str(version))
    for version in sorted(live.exit_rules - needed):
        yield Change("exit-rule-removed", f"IPv{version} exit no longer through the tunnel", value=str(version))


def _passage(rule: str) -> str:
    """A rule of ours in another program's chain, in words."""
    family, table, chain, passage = rule.split(" ", 3)
    way, _, network = passage.partition(" ")
    words = f"{'to' if way == 'in' else 'from'} {network}" if network else "between peers"
    return f"{words} (nftables chain {family} {table} {chain})"


def _gateway(desired: Desired, live: Live) -> Iterator[Change]:
    for path in sorted(desired.sysctls - live.sysctls):
        yield Change("sysctl", f"{path.replace('/', '.')} set to 1", value=path)
    if desired.firewall != live.firewall:
        yield Change("firewall", "firewall rules set" if desired.firewall else "firewall rules removed")
    needed, present = wanted(desired.passages, live.forward.closed), live.forward.opened.keys()
    for rule in sorted(needed - present):
        yield Change("forward-added", f"forwarding accepted, which others drop: {_passage(rule)}", value=rule)
    for rule in sorted(present - needed):
        yield Change("forward-removed", f"forwarding no longer accepted: {_passage(rule)}", value=rule)
    for path in sorted(live.turned_on - desired.sysctls):
        yield Change("sysctl-undone", f"{path.replace('/', '.')} put back to what it was", value=path)
