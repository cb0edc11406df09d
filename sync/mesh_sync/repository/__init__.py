"""The mesh repository: on the git host, as this node's bare copy, and in a person's clone."""
