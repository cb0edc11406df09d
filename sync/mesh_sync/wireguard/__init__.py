"""One WireGuard interface: as it should be, as it is, the difference, and carrying that out."""
