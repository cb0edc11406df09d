"""mesh-sync: a WireGuard full mesh kept in git."""

__version__ = "0.1.0"
