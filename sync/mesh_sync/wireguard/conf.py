"""wg0.conf: the wg-quick text of a desired interface, for people and for `wg-quick up` by hand."""

from __future__ import annotations

from collections.abc import Iterable

from mesh_sync.wireguard.desired import CONF_MARK, Desired, DesiredPeer
from mesh_sync.wireguard.keys import is_key
from mesh_sync.wireguard.network_text import in_order
from mesh_sync.wireguard.placement import placed

PLACEHOLDER = "PRIVATE_KEY_OF_THIS_NODE"

_sections: dict[DesiredPeer, str] = {}
"""A peer looks the same to most nodes, but for a preshared key; rendering a whole mesh writes its section once."""


def text(desired: Desired, private_key: str = PLACEHOLDER, dns: Iterable[str] = ()) -> str:
    """Same desired interface, same bytes. Endpoints keep their names; no endpoint, no line.

    ``dns``: nameservers and search domains, for who has no other way to learn of them.
    """
    interface = (
        f"# {desired.name} in the mesh {desired.mesh}. {CONF_MARK}\n"
        "[Interface]\n"
        f"PrivateKey = {private_key}\n"
        f"Address = {_join(desired.addresses)}\n"
        f"ListenPort = {desired.listen_port}\n"
    )
    interface += f"MTU = {desired.mtu}\n" if desired.mtu else ""
    interface += f"DNS = {servers}\n" if (servers := ", ".join(dns)) else ""
    return interface + "".join(map(_section, placed(desired, None, 0.0, None).peers))


def _section(peer: DesiredPeer) -> str:
    if peer in _sections:
        return _sections[peer]
    psk = f"PresharedKey = {peer.preshared_key}\n" if peer.preshared_key else ""
    allowed = f"AllowedIPs = {_join(peer.allowed_ips)}\n" if peer.allowed_ips else ""
    endpoint = f"Endpoint = {peer.endpoint[0]}\n" if peer.endpoint else ""
    section = (
        f"\n# {peer.name}\n[Peer]\nPublicKey = {peer.public_key}\n{psk}"
        f"{allowed}{endpoint}PersistentKeepalive = {peer.keepalive}\n"
    )
    if not is_key(peer.preshared_key):
        _sections[peer] = section
    return section


def _join(networks: Iterable[str]) -> str:
    return ", ".join(in_order(networks))
