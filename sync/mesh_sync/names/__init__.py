"""Host names to addresses, as the system does it, but within a deadline."""
