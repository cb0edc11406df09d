"""One interface as it is: what `wg`, `ip` and, on a gateway, `nft` and the sysctls tell, asked at once."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.system.at_once import at_once
from mesh_sync.wireguard import firewall, forwarding, ip, mtu, open_chains, wg
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.forward_chains import Found
from mesh_sync.wireguard.live import Live


def read(interface: str, memory: Path, *concerned: Desired | None) -> Live | None:
    """The interface, None when there is none; of exits and of the gateway only what one of ``concerned`` has.

    ``memory`` is the file that keeps the sysctls' earlier values. Raise DeviceError when it cannot be read.
    """
    turned_on = frozenset(forwarding.remembered(memory))
    known = [desired for desired in concerned if desired]
    paths = turned_on.union(*(desired.sysctls for desired in known))
    gates = bool(paths) or any(desired.firewall for desired in known)
    forwards = any(desired.passages for desired in known) or open_chains.marker(memory).exists()
    link, dump, rules, chains = at_once(
        lambda: ip.link_and_routes(interface),
        lambda: wg.dump(interface),
        lambda: firewall.live_rules(interface) if gates else frozenset(),
        lambda: open_chains.read(interface, open_chains.marker(memory)) if forwards else Found(),
    )
    found = link()
    if found is None:
        return None
    fields = {**found, **dump()}
    endpoints = [peer.endpoint for peer in fields["peers"].values()]
    ways = mtu.of_ways(endpoints, fields["fwmark"], fields["addresses"])
    exits = ip.exit_rules() if fields["fwmark"] or any(desired.fwmark for desired in known) else frozenset()
    return Live(
        fits=mtu.fitting(ways, ipv6=any(":" in address for address in fields["addresses"])),
        exit_rules=exits,
        sysctls=forwarding.live_sysctls(paths),
        turned_on=turned_on,
        firewall=rules(),
        forward=chains(),
        **fields,
    )
