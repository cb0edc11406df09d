"""What every source is read into: the machines it describes, and what of it is not imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from mesh_sync.mesh.edit_toml import Value
from mesh_sync.mesh.exits import NONE
from mesh_sync.mesh.model import NAT_KEEPALIVE
from mesh_sync.wireguard.endpoint import Address, Endpoint, Network

MAX_NAME = 63
NO_RENAMES: Mapping[str, str] = MappingProxyType({})


@frozen(kw_only=True)
class Endpoints:
    """Where a machine is reached: as the list has it; and texts that it cannot have, each with what is wrong."""

    usable: tuple[str, ...] = ()
    to_mend: tuple[tuple[str, str], ...] = ()


@frozen(kw_only=True)
class Machine:
    """One machine, as its peer file will declare it. ``keepalive`` in seconds, None if the source does not say."""

    name: str
    called: str = ""
    """What the source calls it."""
    public_key: str
    private_key: str = field(default="", repr=False)
    addresses: tuple[Address, ...]
    endpoints: Endpoints = Endpoints()
    subnets: tuple[Network, ...] = ()
    listen_port: int | None = None
    mtu: int | None = None
    keepalive: int | None = None
    preshared: bool = False
    """Whether its tunnels have a preshared key, which the list does not take."""
    via: str = ""
    exit: str = ""
    managed: bool = True
    dns: tuple[str, ...] = ()
    export_routes: tuple[Network, ...] = ()
    enabled: bool = True
    tags: tuple[str, ...] = ()
    owner: str = ""

    @property
    def endpoint(self) -> tuple[str, ...]:
        return self.endpoints.usable

    @property
    def comments(self) -> str:
        """The end of its file: what a person has to mend there."""
        return "".join(f"# endpoint = {text!r}  # to mend: {why}\n" for text, why in self.endpoints.to_mend)

    def values(self, listen_port: int) -> dict[str, Value]:
        """The keys of its file, without those that equal the defaults (``listen_port``: the mesh's)."""
        roams = not self.endpoint or any(Endpoint.parse(text).address is None for text in self.endpoint)
        wanted: dict[str, Value | None] = {
            "public_key": self.public_key,
            "addresses": list(map(str, self.addresses)),
            "endpoint": list(self.endpoint),
            "subnets": list(map(str, self.subnets)),
            "listen_port": None if self.listen_port == listen_port else self.listen_port,
            "mtu": self.mtu,
            "persistent_keepalive": None if self.keepalive == (NAT_KEEPALIVE if roams else 0) else self.keepalive,
            "via": self.via or None,
            "exit": self.exit or None,
            "managed": None if self.managed else False,
            "dns": list(self.dns),
            "export_routes": list(map(str, self.export_routes)),
            "enabled": None if self.enabled else False,
            "tags": list(self.tags),
            "owner": self.owner or None,
        }
        return {key: value for key, value in wanted.items() if value is not None and value != []}


@frozen
class Takeover:
    """A whole setup: machines, the networks of their addresses, and a line for everything left out."""

    machines: tuple[Machine, ...]
    networks: tuple[Network, ...]
    notes: tuple[str, ...]


class Names:
    """Makes unique peer names out of what people called their machines.

    ``renames``: the names that a person wants, by what the source calls the machine or by its public key.
    """

    def __init__(self, notes: list[str], renames: Mapping[str, str]) -> None:
        self._notes = notes
        self._renames = renames
        self._taken = {NONE, *renames.values()}

    def make(self, wanted: str, public_key: str) -> str:
        """The name that a person wants; else a free DNS label like ``wanted``, with a note if it had to change."""
        if asked := self._renames.get(public_key) or self._renames.get(wanted):
            return asked
        label = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:MAX_NAME].strip("-") or "peer"
        name, number = label, 1
        while name in self._taken:
            number += 1
            name = f"{label[: MAX_NAME - 4]}-{number}"
        self._taken.add(name)
        if name != wanted:
            self._notes.append(f"{name}: was called {wanted!r}; names are unique DNS labels")
        return name
