"""One half of an easy NAT and a hard one, by hand: what the watchdog does once its policy has decided.

Usage: birthday_half.py hard KEY ENDPOINT TTL    birthday_half.py easy ADDRESS
"""

from __future__ import annotations

import asyncio
import random
import sys

from mesh_sync.system.run import run
from mesh_sync.wireguard import port_rewriting
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_watchdog.birthday.knocks import knock
from mesh_watchdog.birthday.many_ports import ManyPorts
from mesh_watchdog.opener import Opener

PORT = 51820
WAIT = 8.0
"""Seconds for the other half to begin and to be done."""


async def hard(key: str, endpoint: str, ttl: int) -> None:
    """Wait at many ports; what arrives at one has the peer be where it came from."""
    hit = asyncio.get_running_loop().create_future()
    ports, target = ManyPorts(hit.set_result), Endpoint.parse(endpoint)
    await ports.open((target.host, target.port), ttl, 0)
    print("open", flush=True)
    port = await asyncio.wait_for(hit, WAIT)
    port_rewriting.replace("wg0", [Rewriting(endpoint, port, PORT)])
    run(["wg", "set", "wg0", "peer", key, "endpoint", endpoint, "persistent-keepalive", "0"])
    run(["wg", "set", "wg0", "peer", key, "persistent-keepalive", "25"])
    print("hit", port, flush=True)


async def easy(address: str) -> None:
    """Knock at this address."""
    opener, sent = Opener(), 0

    def send(port: int) -> str:
        nonlocal sent
        sent += 1
        return opener.send(f"{address}:{port}", PORT, 64, 0)

    problem = await knock(send, random.SystemRandom())
    print("sent", sent, problem, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["hard", key, endpoint, ttl]:
            asyncio.run(hard(key, endpoint, int(ttl)))
        case ["easy", address]:
            asyncio.run(easy(address))
