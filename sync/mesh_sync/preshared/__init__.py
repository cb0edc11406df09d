"""Preshared keys: derived for each pair of peers from a mesh secret, which is sealed to each node."""
