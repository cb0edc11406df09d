"""The declared mesh: what the files of a mesh repository mean, and what can be wrong with them."""
