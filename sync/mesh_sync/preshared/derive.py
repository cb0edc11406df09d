"""Preshared keys derived from a mesh secret: each pair of peers has its own, and both ends compute the same. Pure.

What this protects against, and what not, is in docs/preshared.md.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from attrs import evolve, field, frozen

from mesh_sync.mesh.model import MAX_SECRET, NO_SECRET, Mesh
from mesh_sync.wireguard.desired import Desired, DesiredPeer

SIZE = 32
"""Bytes of a mesh secret, and of WireGuard's preshared keys."""

PURPOSE = b"mesh-sync/psk/1"
"""Domain separation (BLAKE2's personalization, RFC 7693, section 2.5): format 1 of a mesh, used for this alone."""


@frozen
class Secrets:
    """Mesh secrets by id. They never show in a repr."""

    by_id: Mapping[int, bytes] = field(factory=dict, repr=False)

    def __contains__(self, number: int) -> bool:
        return number == NO_SECRET or number in self.by_id

    def pair_key(self, number: int, one: str, other: str) -> str:
        """The key of a pair; empty for the id that stands for none. KeyError if the secret is not here."""
        return pair_key(self.by_id[number], one, other) if number else ""


def pair_key(secret: bytes, one: str, other: str) -> str:
    """The preshared key of the pair of peers with these names, in whichever order; base64.

    Keyed BLAKE2b-256: without the secret it cannot be computed, and a pair's key says nothing about another's. By
    name, so that a peer that changes its WireGuard key, and has two for a while, keeps its preshared keys; by the one
    that it had first (`pair_name`), so that it also keeps them when it is renamed.
    """
    low, high = sorted((one, other))
    hashed = hashlib.blake2b(f"{low} {high}".encode(), digest_size=SIZE, key=secret, person=PURPOSE)
    return base64.b64encode(hashed.digest()).decode()


def with_keys(desired: Desired, mesh: Mesh, secrets: Secrets) -> Desired:
    """A rendered interface with the keys of its pairs. KeyError if the secret in use is not among ``secrets``.

    A former secret that is not here is one that this node never had: there is nothing to fall back to.
    """
    use = mesh.preshared
    if use is None:
        return desired
    moment = use.since.timestamp() if use.since else 0.0

    def keyed(peer: DesiredPeer) -> DesiredPeer:
        key = secrets.pair_key(use.secret, desired.pair_name, peer.pair_name)
        if use.former is None or use.former not in secrets:
            return evolve(peer, preshared_key=key)
        former = secrets.pair_key(use.former, desired.pair_name, peer.pair_name)
        moves = moment if mesh.peers[peer.name].managed else None
        return evolve(peer, preshared_key=key, former_key=former, moves_at=moves)

    return evolve(desired, peers=tuple(map(keyed, desired.peers)))


def parse(text: str) -> Secrets:
    """Given a secret file, lines of ``id base64``, return its secrets. ValueError names the line and quotes nothing."""
    found: dict[int, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        try:
            secret = base64.b64decode(words[1], validate=True) if len(words) == 2 else b""
        except ValueError:
            secret = b""
        if len(secret) != SIZE or not is_id(words[0]):
            raise ValueError(f"line {number} is not an id and a secret (32 bytes of base64)")
        if int(words[0]) in found:
            raise ValueError(f"line {number}: the id {int(words[0])} is there twice")
        found[int(words[0])] = secret
    return Secrets(found)


def text(secrets: Secrets) -> str:
    """The secret file of these secrets."""
    head = "# Secrets of the mesh: every preshared key can be computed from them. Never commit them.\n"
    lines = (f"{number} {base64.b64encode(secret).decode()}\n" for number, secret in sorted(secrets.by_id.items()))
    return head + "".join(lines)


def is_id(text: str) -> bool:
    """Whether this is how an id is written: 1 and up."""
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= len(str(MAX_SECRET))
