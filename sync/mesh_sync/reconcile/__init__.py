"""The way of a commit on a node, a module for each step; `now` has them in order."""
