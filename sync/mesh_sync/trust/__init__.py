"""Whose commits a node takes: signatures, who may change what, and what a commit has to say that it means."""
