"""Addresses and networks that are right, as text, to numbers: by the C library, for there are thousands of them.

An idle run needs no more than this, and does without `ipaddress`.
"""

from __future__ import annotations

from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_pton


def as_number(address: str) -> tuple[int, int]:
    """How many bits an address of its IP version has, and the address as a number. OSError if it is none."""
    family, bits = (AF_INET6, 128) if ":" in address else (AF_INET, 32)
    return bits, int.from_bytes(inet_pton(family, address))


def start_of(network: str) -> tuple[int, int, int]:
    """How many bits an address of a network's IP version has, its first address as a number, and its length."""
    address, length = network.partition("/")[::2]
    return *as_number(address), int(length)


def in_order(networks: Iterable[str]) -> list[str]:
    """IPv4 before IPv6, each in numeric order."""
    return sorted(networks, key=start_of)
