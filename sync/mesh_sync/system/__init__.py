"""This machine without WireGuard: processes, files, locks, bounds."""
