"""Asking the router in front of this machine to forward WireGuard's port to it."""
