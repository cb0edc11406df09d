"""Rounds between an easy NAT and a hard one: many ports, and many knocks at random ones (`policy.birthday` decides)."""
