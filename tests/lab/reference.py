"""The network of the README: four clouds, each a NAT router, a gateway for the mesh, and a host behind it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from lab.host import Host
from lab.network import Lab, Site

LISTEN_PORT = 51820


@dataclasses.dataclass(frozen=True)
class Place:
    """What the mesh's list says about a site."""

    name: str
    mesh_address: str
    lan: str
    wan: str
    wan6: str

    @property
    def domain(self) -> str:
        return f"{self.name}.com"

    @property
    def endpoint(self) -> str:
        return f"{self.domain}:{LISTEN_PORT}"


PLACES = (
    Place("aws", "10.0.0.1", "192.168.10.0/24", "203.0.113.11", "2001:db8::11"),
    Place("azure", "10.0.0.2", "192.168.20.0/24", "203.0.113.12", "2001:db8::12"),
    Place("gcp", "10.0.0.3", "192.168.30.0/24", "203.0.113.13", "2001:db8::13"),
    Place("aliyun", "10.0.0.4", "192.168.40.0/24", "203.0.113.14", "2001:db8::14"),
)


def reference_mesh(lab: Lab) -> Mapping[str, Site]:
    """Build the four sites, and their names in DNS. Networks only: installing the product is the caller's."""

    def build(place: Place) -> Site:
        site = lab.site(place.name, place.lan, place.wan, place.wan6, port=LISTEN_PORT)
        lab.dns.set(place.domain, place.wan, place.wan6)
        return site

    with ThreadPoolExecutor(len(PLACES)) as pool:
        return dict(zip((place.name for place in PLACES), pool.map(build, PLACES), strict=True))


def host_pairs(sites: Mapping[str, Site]) -> Iterator[tuple[Host, str]]:
    """Every host behind a site with the address of every other, for `reachability`."""
    for source, target in itertools.permutations(sites.values(), 2):
        yield source.host, str(target.lan.v4[10])
