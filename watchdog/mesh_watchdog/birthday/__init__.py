"""An easy NAT and a hard one: many ports and many knocks, until one meets the other (`policy.birthday` decides)."""
