"""A node that writes to the list: it joins, and it rotates its key."""
