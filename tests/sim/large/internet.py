"""An internet of thousands of sites: what is sent to an address is looked up, not offered to all."""

from __future__ import annotations

from attrs import define, field

from mesh_sync.wireguard.endpoint import Endpoint
from sim.underlay import Packet, Site, Underlay


@define
class Internet(Underlay):
    """Every site has an address of its own."""

    places: dict[str, Site] = field(factory=dict)
    _given: int = 0

    def settle(self, site: Site) -> None:
        """Give a site another address, or its first one."""
        for address in site.public.values():
            self.places.pop(address, None)
        self._given += 1
        one, two = divmod(self._given, 250)
        address = f"100.{128 + one // 250}.{one % 250}.{two + 1}" if one // 250 < 100 else "unreachable"
        site.renumber({4: address})
        self.places[address] = site

    def are_parted(self, one: Site, other: Site) -> bool:
        """Whether a partition of the network is between them."""
        return (id(one) in self.island) != (id(other) in self.island)

    def _arrive(self, packet: Packet, origin: Site, source: str, target: Endpoint) -> None:
        site = self.places.get(target.host)
        if site is None or not site.works or self.are_parted(origin, site):
            return
        if site.lets_in(source, target.port, self.clock.now):
            site.receive(packet, source)
