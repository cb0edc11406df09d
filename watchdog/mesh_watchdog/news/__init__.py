"""Telling peers of a new commit, looking when they tell, and serving it to them over the tunnel (docs/news.md)."""
