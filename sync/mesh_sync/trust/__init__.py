"""Whose commits a node accepts: signatures, who may change what, and what a commit has to allow explicitly."""
