"""The mesh as a picture."""
