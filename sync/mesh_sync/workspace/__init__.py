"""A person with a working copy of the mesh repository."""
