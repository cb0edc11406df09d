"""The desired interface of this machine: what the list says, and what node.toml and the key files add to it."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton

from attrs import evolve

from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import with_own_key
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.forward_chains import BETWEEN


def on_this_machine(desired: Desired, node: Node) -> Desired:
    """What the list says of this node, with what node.toml adds to it and the key that the machine runs."""
    return with_own_key(with_settings(desired, node), node)


def with_settings(desired: Desired, node: Node) -> Desired:
    """What the list says, with what node.toml adds to it."""
    return with_gateway(with_exit(desired, node), node)


def with_exit(desired: Desired, node: Node) -> Desired:
    """Without the exit that the list gives this node, where node.toml declines it."""
    if node.accept_exit or not desired.exits:
        return desired
    kept = (evolve(peer, allowed_ips=peer.allowed_ips - desired.exits) for peer in desired.peers)
    return evolve(desired, peers=tuple(kept), exit_routes=desired.covering)


def with_gateway(desired: Desired, node: Node) -> Desired:
    """Add what node.toml says about routing for others, and what relaying and exits need."""
    masquerade = node.gateway.masquerade if node.gateway else ""
    routes = node.gateway is not None
    return evolve(
        desired,
        sysctls=_sysctls(node.interface, desired, routes=routes),
        firewall=_rules(node.interface, masquerade, routes=routes, relays=desired.relay)
        | (_translations(node.interface, desired) if routes else frozenset())
        | _marks(node.interface, desired),
        passages=_passages(desired, routes=routes),
    )


def _passages(desired: Desired, *, routes: bool) -> frozenset[str]:
    """What this node has to forward: between peers as a relay, to and from its own subnets as a gateway; no more."""
    subnets = desired.subnets if routes else ()
    both = {f"{way} {network}" for way in ("in", "out") for network in subnets}
    return frozenset(both | ({BETWEEN} if desired.relay else set()))


def _rules(interface: str, masquerade: str, *, routes: bool, relays: bool) -> frozenset[str]:
    """Masquerade what leaves by the interface ``masquerade`` (may be empty).

    A node that only relays forwards between peers, and nowhere else. Connections that one forwards into the tunnel
    learn how much fits into it: the answer that a packet is too large often does not arrive.
    """
    rules = set()
    if routes or relays:
        rules.add(f'forward oifname "{interface}" tcp flags syn tcp option maxseg size set rt mtu')
    if relays and not routes:
        rules.add(f'forward iifname "{interface}" oifname != "{interface}" drop')
    if masquerade:
        rules.add(f'postrouting iifname "{interface}" oifname "{masquerade}" masquerade')
    return frozenset(rules)


def _translations(interface: str, desired: Desired) -> frozenset[str]:
    """Each address of a network behind this node is seen in the mesh as the one at its place in another network.

    Both ways: what peers send there goes to the host, what the host sends into the tunnel comes from there. Answers go
    the way of what they answer.
    """
    rules = set[str]()
    for network, mapped in desired.translated:
        family = "ip6" if ":" in mapped else "ip"
        rules.add(f'destination iifname "{interface}" {family} daddr {_bare(mapped)} dnat {_to(family, network)}')
        rules.add(f'postrouting oifname "{interface}" {family} saddr {_bare(network)} snat {_to(family, mapped)}')
    return frozenset(rules)


def _to(family: str, network: str) -> str:
    """What an address is translated to: the same place in a network of the same size, or a single address."""
    return f"{family} to {_bare(network)}" if "/" not in _bare(network) else f"{family} prefix to {network}"


def _bare(network: str) -> str:
    """A network as nft prints it: one of a single address without its length."""
    return network.removesuffix("/128" if ":" in network else "/32")


def _marks(interface: str, desired: Desired) -> frozenset[str]:
    """With an exit, what came in by the underlay is answered by it: marked when it arrives, and so are the answers.

    Packets for this machine, the tunnel's own among them, have the mark before a reverse path filter looks their
    sender up. A connection of which such a packet is seen carries it too, for its answers, also those of a host here
    that the packet was translated to. Not for the mesh's addresses: at these nothing comes in but by the tunnel, and
    an answer that is forged on the link must not lead a connection out of the exit.
    """
    if not desired.fwmark:
        return frozenset()
    mark, here = f"0x{desired.fwmark:08x}", f'iifname != "lo" iifname != "{interface}"'
    rules = {f'prerouting iifname != "{interface}" ct mark {mark} meta mark set ct mark'}
    rules |= {f"prerouting meta mark {mark} ct mark set meta mark", f"output ct mark {mark} meta mark set ct mark"}
    for version, words in ((4, "ip daddr"), (6, "ip6 daddr")):
        own = [one.partition("/")[0] for one in desired.addresses if (":" in one) == (version == 6)]
        kind = f"{words} != {_set(own)}" if own else f"meta nfproto ipv{version}"
        rules.add(f"raw {here} {kind} fib daddr type local meta mark set {mark}")
    return frozenset(rules)


def _set(addresses: list[str]) -> str:
    """Addresses of one version as nft prints them: in numeric order."""
    ordered = sorted(addresses, key=lambda one: inet_pton(AF_INET6 if ":" in one else AF_INET, one))
    return ordered[0] if len(ordered) == 1 else "{ " + ", ".join(ordered) + " }"


def _sysctls(interface: str, desired: Desired, *, routes: bool) -> frozenset[str]:
    """The paths below /proc/sys that have to be 1. IPv6 knows no forwarding per interface."""
    paths = set()
    if routes or desired.relay:
        ipv4 = "net/ipv4/ip_forward" if routes else f"net/ipv4/conf/{interface}/forwarding"
        forwarding = {4: ipv4, 6: "net/ipv6/conf/all/forwarding"}
        paths |= {forwarding[6 if ":" in route else 4] for route in desired.routes | desired.exit_routes}
    if any(":" not in route for route in desired.exit_routes):
        paths.add("net/ipv4/conf/all/src_valid_mark")  # the reverse path filter heeds the mark, see `_marks`
    return frozenset(paths)
