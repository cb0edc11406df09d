"""The easy end of a round: packets from WireGuard's own port to random ports of the hard end's NAT."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator

MOST = 1024
"""Packets of one round, and entries in the table of our router."""
RATE = 500.0
"""Packets a second at most."""
WITHIN = 3.0
"""Seconds after which a round ends, however few could be sent."""
PAUSE = 0.01
LOWEST = 1024
"""A NAT does not translate a port above this to one below (RFC 4787, REQ-3)."""


def ports(chance: random.Random) -> Iterator[int]:
    """The ports of one round, each once."""
    yield from chance.sample(range(LOWEST, 1 << 16), MOST)


async def knock(send: Callable[[int], str], chance: random.Random) -> str:
    """Send to each port of a round, at most at RATE. Return what is wrong with this machine, if anything.

    ``send`` returns the same for one packet. A machine that falls behind does not catch up.
    """
    began = last = time.monotonic()
    allowance = 0.0
    for port in ports(chance):
        while allowance < 1.0:
            await asyncio.sleep(PAUSE)
            now = time.monotonic()
            allowance = min(allowance + (now - last) * RATE, RATE * PAUSE * 4)
            last = now
        if last - began > WITHIN:
            return ""
        if problem := send(port):
            return problem
        allowance -= 1.0
    return ""
