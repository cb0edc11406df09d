"""mesh-watchdog: keeps WireGuard tunnels alive while addresses change under them."""
