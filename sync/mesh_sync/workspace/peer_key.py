"""The key of a peer that cannot make its own: a phone that scans a code. It is in memory, and no file ever has it."""

from __future__ import annotations

from mesh_sync.wireguard.keys import generate, public_key


def new_key() -> tuple[str, str]:
    """A private key, and its public key."""
    private = generate()
    return private, public_key(private)
