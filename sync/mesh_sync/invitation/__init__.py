"""The line by which a machine is invited, what it hands over to the git host, and how both ask that host."""
