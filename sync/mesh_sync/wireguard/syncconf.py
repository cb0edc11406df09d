"""What `wg syncconf` is fed: derived from the desired and the live interface, never wg0.conf itself.

The rules are facts about `wg syncconf`: it sets every endpoint it is given, and so overwrites one that roamed; it
resolves names one after the other and gives up whole at the first bad one; a missing ListenPort or FwMark
means "another" and "none"; a peer that is not named is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.plan import Change


def syncconf_text(
    desired: Desired, live: Live, changes: Iterable[Change], private_key: str, endpoints: Mapping[str, str]
) -> str:
    """The complete text for `wg syncconf`.

    ``endpoints``: the numeric endpoints to set now, by public key; a peer the kernel has already gets none
    unless its endpoint is among the changes. Peers added by hand are passed on as they are.
    """
    changes = tuple(changes)
    removed = {change.value for change in changes if change.kind in ("peer-removed", "foreign-peer") and change.acted}
    ours = {peer.public_key for peer in desired.peers}
    claimed = frozenset(ip for peer in desired.peers for ip in peer.allowed_ips)
    parts = [
        f"[Interface]\nPrivateKey = {private_key}\nListenPort = {desired.listen_port}\nFwMark = {desired.fwmark}\n"
    ]
    for key, foreign in sorted(live.peers.items()):
        if key not in ours and key not in removed:
            parts.append(_foreign(foreign, claimed))
    parts += (_peer(peer, endpoints.get(peer.public_key, "")) for peer in desired.peers)
    return "\n".join(parts)


def addconf_text(desired: Desired, changes: Iterable[Change], endpoints: Mapping[str, str]) -> str:
    """The text for `wg addconf`: only the peers that change, so that no other loses a packet to having its allowed
    IPs replaced; a preshared key is set on its own for the same reason (`wg.set_preshared_keys`). Without an
    `[Interface]` it leaves key, port and mark alone. Empty when no peer is added or changed.
    """
    touched = {change.value for change in changes if change.kind != "preshared-key"}
    touched_peers = (peer for peer in desired.peers if peer.public_key in touched)
    return "\n".join(_peer(peer, endpoints.get(peer.public_key, "")) for peer in touched_peers)


def allowed_ips_text(peers: Iterable[DesiredPeer]) -> str:
    """The text for `wg addconf` that gives these peers, which the interface has, their allowed IPs and nothing else."""
    return "\n".join(
        f"[Peer]\nPublicKey = {peer.public_key}\nAllowedIPs = {', '.join(sorted(peer.allowed_ips))}\n" for peer in peers
    )


def _peer(peer: DesiredPeer, endpoint: str) -> str:
    return _section(peer.public_key, peer.preshared_key, peer.allowed_ips, endpoint, peer.keepalive)


def _foreign(peer: LivePeer, claimed: frozenset[str]) -> str:
    return _section(peer.public_key, peer.preshared_key, peer.allowed_ips - claimed, "", peer.keepalive)


def _section(key: str, psk: str, allowed_ips: frozenset[str], endpoint: str, keepalive: int) -> str:
    lines = ["[Peer]", f"PublicKey = {key}"]
    if psk:
        lines.append(f"PresharedKey = {psk}")
    if allowed_ips:
        lines.append(f"AllowedIPs = {', '.join(sorted(allowed_ips))}")
    if endpoint:
        lines.append(f"Endpoint = {endpoint}")
    lines.append(f"PersistentKeepalive = {keepalive}\n")
    return "\n".join(lines)
