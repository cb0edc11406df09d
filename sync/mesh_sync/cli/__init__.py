"""The command line: one file per command or group of commands. It reads options and prints; it decides nothing."""
