"""This machine: node.toml, what it remembers, its keys, its locks."""
