"""A lab: an internet with a DNS server and a git host, to which nodes and sites are added."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import ipaddress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from lab.address import Network
from lab.capsule import Capsule, kernel_wireguard
from lab.dnsserver import DnsServer
from lab.githost import NAME as GIT_NAME
from lab.githost import GitHost, GitMachine
from lab.host import Host
from lab.nat import EASY, MAPPED, Nat
from lab.node import Node
from lab.provider import Provider
from lab.router import Router
from lab.segment import Line, Segment

INTERNET = Network(ipaddress.IPv4Network("203.0.113.0/24"), ipaddress.IPv6Network("2001:db8::/64"))
BEYOND = Network(ipaddress.IPv4Network("198.51.100.0/24"), ipaddress.IPv6Network("2001:db8:f::/64"))
ASSIGNED = Network(ipaddress.IPv4Network("192.0.3.0/24"), ipaddress.IPv6Network("2001:db8:a::/64"))
CARRIER = Network.behind_nat("100.64.0.0/16")
DEAD_RESOLVER = "203.0.113.66"


@dataclasses.dataclass(frozen=True)
class Site:
    """A router with a LAN, on which a mesh node is the gateway and a host knows only that gateway."""

    name: str
    lan: Network
    router: Router
    gateway: Node
    host: Node


AnyHost = TypeVar("AnyHost", bound=Host)


class Lab:
    """A context manager; nothing of the lab is left when it ends or when its process does.

    DNS is there from the start, `git` and `operator` from their first use.
    """

    def __init__(self) -> None:
        self._hosts: list[Host] = []
        self.providers = 0
        with contextlib.ExitStack() as undo:
            self.capsule = Capsule()
            undo.callback(self.close)
            self.directory = self.capsule.directory
            self.kernel_wireguard = kernel_wireguard(self.capsule)
            self._internet()
            machine = Host("dns", *self._place("dns"))
            self.dns = DnsServer(self._attached(machine, "203.0.113.53", "2001:db8::53"))
            self.dns.start()
            undo.pop_all()

    def node(
        self,
        name: str,
        address: str,
        address6: str | None = None,
        *,
        resolvers: tuple[str, ...] | None = None,
    ) -> Node:
        """A node directly on the internet. Its name is a label of at most 15 characters."""
        return self._attached(self._node(name, resolvers), address, address6)

    def far(self, name: str, number: int) -> Node:
        """A node in another part of the internet, 198.51.100.NUMBER and 2001:db8:f::NUMBER, behind a router.

        Between here and there lie the default routes of both sides, whereas all others are neighbours on one link.
        """
        node = self._node(name)
        node.attach(self._beyond, BEYOND.at(str(BEYOND.v4[number]), f"{BEYOND.v6[0]}{number}"))
        return node

    def provider(self, name: str) -> Line:
        """An access provider, whose router stands between its customers and the switch; see `Provider`.

        Between the routers of two customers of two providers are three hops, between one and the switch is one.
        """
        self._forward()
        provider = Provider(name, *self._place(name), self.providers)
        self.providers += 1
        self._attached(provider, provider.v4, provider.v6)
        self._hosts[0].ip(*provider.routes())
        return provider.line

    def carrier(self, name: str, address: str, nat: Nat = EASY, *, at: Line | None = None) -> Router:
        """A carrier's NAT with this public address; its subscribers are connected to its `line`, 100.64.0.0/16."""
        router = Router(name, *self._place(name), CARRIER, nat)
        self._attached(router, address, None, at)
        return router

    def site(
        self,
        name: str,
        lan: str,
        address: str,
        address6: str | None = None,
        *,
        port: int | None = 51820,
        nat: Nat | None = None,
        at: Line | None = None,
    ) -> Site:
        """A site behind a NAT router with this WAN address: gateway .2 and host .10 of the LAN.

        The router is a NAT of the kind `nat`; unless given, an easy one that forwards UDP `port` to the gateway (None:
        no port). It is connected to the switch, or to another line. The hosts are called NAME-rt, NAME-gw and
        NAME-host; NAME has at most 10 characters.
        """
        network = Network.behind_nat(lan)
        nat = nat or dataclasses.replace(MAPPED, forwards=port)
        router = Router(f"{name}-rt", *self._place(f"{name}-rt"), network, nat)
        self._attached(router, address, address6, at)
        gateway = self._node(f"{name}-gw")
        gateway.attach(router.lan, network.host(2))
        host = self._node(f"{name}-host")
        host.attach(router.lan, network.host(10).routed_by(network.host(2)))
        return Site(name, network, router, gateway, host)

    def beside(self, site: Site, name: str, number: int, *, resolvers: tuple[str, ...] | None = None) -> Node:
        """One more node in the LAN of a site; its default route is the router."""
        node = self._node(name, resolvers)
        node.attach(site.router.lan, site.lan.host(number))
        return node

    def bridge(self, owner: Host, name: str, network: str) -> Line:
        """A network on a bridge within a host, which is its router, as a node of a cluster is for its pods."""
        line = Line(Segment(owner.tree, name), Network.behind_nat(network))
        router = line.network.router()
        owner.ip(f"address add {router.v4} dev {name}", f"address add {router.v6} dev {name} nodad")
        return line

    def on(self, line: Line, name: str, number: int) -> Node:
        """A node with this number in the network of a line; its default route is the line's router."""
        node = self._node(name)
        node.attach(line.segment, line.network.host(number))
        return node

    def give_ipv6(self, site: Site, at: Line) -> ipaddress.IPv6Network:
        """Give a site at a provider an IPv6 network of its own, 2001:db8:b:NUMBER::/64, in which nothing is translated.

        Its router lets in what answers, as routers at home do. The gateway has the second address.
        """
        number = int(at.network.v4[0]) >> 8 & 0xFF
        lan, wan = ipaddress.IPv6Network(f"2001:db8:b:{number:x}::/64"), at.network.at(None, str(at.network.v6[0x77]))
        site.router.ip(*wan.to_add(), f"address add {lan[1]}/64 dev lan nodad")
        site.router.run(["nft", "insert", "rule", "inet", "nat", "postrouting", "ip6", "saddr", str(lan), "accept"])
        site.gateway.ip(f"address add {lan[2]}/64 dev eth0 nodad", f"route replace default via {lan[1]} dev eth0")
        assert wan.v6
        at.segment.command("ip", "-6", "route", "add", str(lan), "via", str(wan.v6.ip))
        self._hosts[0].ip(f"route add {lan} via 2001:db8::ffff:{number:x}")
        return lan

    @functools.cached_property
    def _beyond(self) -> Segment:
        internet = self._hosts[0]
        segment, router = Segment(internet.tree, "beyond"), BEYOND.router()
        internet.ip(f"address add {router.v4} dev beyond", f"address add {router.v6} dev beyond nodad")
        self._forward()
        return segment

    @functools.cached_property
    def assigned(self) -> Line:
        """A part of the internet, 192.0.3.0/24, which is reserved for nothing: miniupnpd maps no reserved addresses."""
        internet = self._hosts[0]
        line, router = Line(Segment(internet.tree, "assigned"), ASSIGNED), ASSIGNED.router()
        internet.ip(f"address add {router.v4} dev assigned", f"address add {router.v6} dev assigned nodad")
        self._forward()
        return line

    def _forward(self) -> None:
        """Let the switch's own address lead on to other parts of the internet."""
        self._hosts[0].run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])

    @functools.cached_property
    def git(self) -> GitHost:
        """The git host. Every node made before or after is let in."""
        machine = self._attached(GitMachine("git", *self._place("git")), "203.0.113.10", "2001:db8::10")
        git = GitHost(machine)
        self.dns.set(GIT_NAME, "203.0.113.10", "2001:db8::10")
        return self._introduced(git)

    def another_git(self, name: str, address: str) -> GitHost:
        """One more git host, NAME.example.org, that knows the nodes made before."""
        machine = self._attached(GitMachine(name, *self._place(name)), address, None)
        self.dns.set(f"{name}.example.org", address)
        return self._introduced(GitHost(machine, f"{name}.example.org"))

    def _introduced(self, git: GitHost) -> GitHost:
        for host in self._hosts:
            if isinstance(host, Node):
                git.introduce(host)
        return git

    @functools.cached_property
    def operator(self) -> Node:
        """The machine of the person who changes the mesh."""
        return self.node("operator", "203.0.113.9", "2001:db8::9")

    def _internet(self) -> None:
        """The switch all are plugged into; its own address is everybody's router and leads nowhere."""
        host = Host("internet", *self._place("internet"))
        self._hosts.append(host)
        self._switch = Segment(host.tree, "switch")
        router = INTERNET.router()
        host.ip(
            f"address add {router.v4} dev switch",
            f"address add {router.v6} dev switch nodad",
            f"address add {DEAD_RESOLVER} dev switch",
        )
        host.nft(f"""table ip dead {{
            chain input {{ type filter hook input priority 0; ip daddr {DEAD_RESOLVER} drop; }}
        }}""")

    def _place(self, name: str) -> tuple[Capsule, Path]:
        return self.capsule, self.directory / name

    def _node(self, name: str, resolvers: tuple[str, ...] | None = None) -> Node:
        if resolvers is None:
            resolvers = (self.dns.address,)
        node = Node(name, *self._place(name), resolvers, kernel_wireguard=self.kernel_wireguard)
        self._hosts.append(node)
        if "git" in self.__dict__:
            self.git.introduce(node)
        return node

    def _attached(self, host: AnyHost, address: str, address6: str | None, at: Line | None = None) -> AnyHost:
        if host not in self._hosts:
            self._hosts.append(host)
        line = at or Line(self._switch, INTERNET)
        host.attach(line.segment, line.network.at(address, address6))
        return host

    def close(self) -> None:
        """End everything that the lab started."""
        self.capsule.close()
        for host in self._hosts:
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
