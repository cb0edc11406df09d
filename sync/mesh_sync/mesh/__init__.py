"""The declared mesh: what the files of a mesh repository mean."""
