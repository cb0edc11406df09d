"""The command line: one file per group of commands, each command importing what it needs when it runs."""
