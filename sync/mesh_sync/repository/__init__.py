"""Git: the remote, this node's bare copy, a fresh copy to commit to, and the one reader of objects."""
