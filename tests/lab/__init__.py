"""The network lab: hosts, routers, NAT, DNS and git in Linux namespaces. See README.md."""

from lab.capsule import available
from lab.dnsserver import DnsServer
from lab.githost import GitHost
from lab.host import Host
from lab.network import DEAD_RESOLVER, Lab, Site
from lab.node import Node
from lab.ping import Loss, reachability, steady_ping
from lab.program import Program
from lab.reference import PLACES, Place, host_pairs, reference_mesh
from lab.router import Router
from lab.service import Service, tarpit
from lab.tree import LabError

__all__ = [
    "DEAD_RESOLVER",
    "PLACES",
    "DnsServer",
    "GitHost",
    "Host",
    "Lab",
    "LabError",
    "Loss",
    "Node",
    "Place",
    "Program",
    "Router",
    "Service",
    "Site",
    "available",
    "host_pairs",
    "reachability",
    "reference_mesh",
    "steady_ping",
    "tarpit",
]
