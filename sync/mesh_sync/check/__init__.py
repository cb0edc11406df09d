"""Every rule about a mesh repository; `examine` is the one entry."""
