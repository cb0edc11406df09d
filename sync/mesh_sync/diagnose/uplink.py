"""The ways out of this machine: IP versions, how large packets to the peers may be, and who has come in."""

from __future__ import annotations

from mesh_sync.diagnose.check import Seen, Subject
from mesh_sync.diagnose.families import family_troubles
from mesh_sync.diagnose.routes import astray, source
from mesh_sync.diagnose.trouble import Trouble
from mesh_sync.findings import some
from mesh_sync.system.at_once import at_once
from mesh_sync.wireguard.desired import DesiredPeer
from mesh_sync.wireguard.mtu import ANYWHERE
from mesh_sync.wireguard.path_mtu import largest
from mesh_sync.wireguard.protocol import is_alive

MEASURED = 16
"""Paths that are measured, at once."""


def families(subject: Subject) -> Seen:
    """Which IP versions lead out of this machine, and whether the tunnel can have what the list gives it."""
    facts, troubles, found = list[str](), list[Trouble](), False
    for version, anywhere in zip((4, 6), ANYWHERE, strict=True):
        leaves = source(anywhere)
        own = subject.desired.addresses if subject.desired else frozenset()
        through = bool(leaves) and not astray([anywhere], own)
        found = found or bool(leaves)
        how = f"leaves from {leaves}" + (" (through the tunnel)" if through else "") if leaves else "has no way out"
        facts.append(f"IPv{version} {how}")
    if not found:
        text = "this machine has no way to the internet: neither IPv4 nor IPv6 has a default route"
        troubles.append(Trouble("no-uplink", text, "ip route; ip -6 route"))
    troubles += family_troubles(subject.desired, subject.node.interface)
    return Seen(tuple(facts), tuple(troubles))


def path_sizes(subject: Subject) -> Seen:
    """How large a packet through the tunnel may be, to each peer that has a session."""
    live, desired, interface = subject.live, subject.desired, subject.node.interface
    if live is None or desired is None:
        return Seen(skipped=f"{interface} is not there")
    alive = {key for key, peer in live.peers.items() if is_alive(peer.handshake, subject.clock.wall)}
    asked = [peer for peer in desired.peers if alive.intersection(peer.keys)]
    if not asked:
        return Seen(skipped="no peer has a session")
    mtu = live.mtu

    def size(peer: DesiredPeer) -> int | None:
        return largest(interface, peer.addresses[0], mtu)

    try:
        found = [answer() for answer in at_once(*(lambda peer=peer: size(peer) for peer in asked[:MEASURED]))]
    except OSError as error:
        return Seen(skipped=f"no echo can be sent: {error.strerror}")
    sizes = dict(zip((peer.name for peer in asked), found, strict=False))
    silent = [name for name, size in sizes.items() if size is None]
    whole = sum(size == mtu for size in sizes.values())
    facts = [f"packets of {mtu:,} bytes reach {whole:,} of {len(sizes):,} peers"]
    facts += [f"no echo comes back from {some(silent)}"] if silent else []
    small = {name: size for name, size in sizes.items() if size is not None and size < mtu}
    troubles = []
    for name, least in small.items():
        text = f"packets to {name} of more than {least:,} bytes are lost on the way; {interface} sends up to {mtu:,}"
        fix = f"ip link set dev {interface} mtu {least}; it stays so where mesh-watchdog runs, which measures it too, "
        fix += f"or by the list: mesh-sync peer set {desired.name} --mtu {least}"
        troubles.append(Trouble("mtu", text, fix))
    return Seen(tuple(facts), tuple(troubles))


def port(subject: Subject) -> Seen:
    """Whether others have reached this node's port. What no peer has shown is not known: only a peer can tell."""
    live, desired = subject.live, subject.desired
    if live is None or desired is None:
        return Seen(skipped=f"{subject.node.interface} is not there")
    peers = [(peer, live.peers[key]) for peer in desired.peers for key in peer.keys if key in live.peers]
    came = [peer.name for peer, seen in peers if seen.handshake and not peer.endpoint]
    if came:
        return Seen((f"UDP port {live.listen_port} is open: {some(came)}, whose endpoint no list has, came in by it",))
    fact = f"UDP port {live.listen_port}: whether others reach it is not known; no peer has shown it"
    return Seen((fact + f" (see on a peer: wg show {subject.node.interface} endpoints)",))
