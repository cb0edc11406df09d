"""What keeps a node running: its systemd units, put in place by `mesh-sync setup` and taken away by `leave`."""
