"""What is believed of the peers, and what to do about it. Pure."""
