"""What the tests of decisions begin with: a node's interface, and the moment."""

from __future__ import annotations

from mesh_sync.wireguard.desired import Desired

NOW, NODE = 1e9, "fingerprint"


def interface(port: int = 51820, until: float | None = None) -> Desired:
    addresses = frozenset({"10.0.0.1/32"})
    return Desired("lab", "a", "own", port, 1420, addresses, frozenset({"10.0.0.0/24"}), (), valid_until=until)
