"""The table of peers: what is asked of it in an address, and the rows that this leaves. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from attrs import asdict, evolve, frozen

from mesh_sync.mesh.model import Peer
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.graph_summary import groups_of

PAGE = 100
"""Rows of one page."""
BROKEN = "unreadable"
"""The state of a peer whose file cannot be read."""
LONGEST = 200
"""Characters of a search that count."""


@frozen
class Row:
    """One peer as the table has it; the texts are those of its file."""

    name: str
    state: str
    addresses: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    via: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    expires: str = ""
    description: str = ""
    group: str = ""
    number: tuple[int, ...] = ()
    """Its addresses as numbers, to sort by."""

    @property
    def words(self) -> str:
        """All that a search looks in."""
        lists = (self.addresses, self.endpoints, self.subnets, self.tags)
        return " ".join(
            (self.name, self.via, self.owner, self.description, *(" ".join(each) for each in lists))
        ).lower()


_SORTS: Mapping[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name,
    "state": lambda row: row.state,
    "addresses": lambda row: row.number,
    "endpoint": lambda row: row.endpoints,
    "subnets": lambda row: row.subnets,
    "via": lambda row: row.via,
    "tags": lambda row: row.tags,
    "expires": lambda row: row.expires or "9",
}
SORTS = tuple(_SORTS)


@frozen
class Asked:
    """What an address asks of the table."""

    q: str = ""
    state: str = ""
    tag: str = ""
    group: str = ""
    sort: str = "name"
    down: str = ""
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """What the query of an address asks; what it should not say counts as not said."""
        texts = {key: query.get(key, "")[:LONGEST] for key in ("q", "state", "tag", "group", "down")}
        sort, page = query.get("sort", ""), query.get("page", "")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1
        return cls(**texts, sort=sort if sort in _SORTS else "name", page=max(1, number))

    def address(self, **changes: Any) -> str:
        """The address of the table with these changes."""
        said = {key: value for key, value in asdict(evolve(self, **changes)).items() if value not in ("", None)}
        standard = {"sort": "name", "page": 1}
        query = urlencode({key: value for key, value in said.items() if standard.get(key) != value})
        return f"/?{query}" if query else "/"

    @property
    def narrows(self) -> bool:
        """Whether it leaves peers out."""
        return bool(self.q or self.state or self.tag or self.group)


def rows(committed: Committed) -> tuple[Row, ...]:
    """A row for each peer of the list, and for each file of one that cannot be read."""
    view, groups = committed.view, groups_of(committed.view)
    found = [_row(peer, view.state(peer), groups[name]) for name, peer in committed.mesh.peers.items()]
    return (*found, *(Row(name, BROKEN) for name in committed.unreadable))


def _row(peer: Peer, state: str, group: str) -> Row:
    texts: list[Sequence[str]] = [
        tuple(map(str, each)) for each in (peer.addresses, peer.endpoint, peer.announced, peer.tags)
    ]
    addresses, endpoints, subnets, tags = map(tuple, texts)
    expires = str(peer.expires) if peer.expires else ""
    number = tuple(part for address in peer.addresses for part in (address.version, int(address)))
    return Row(
        peer.name, state, addresses, endpoints, subnets, peer.via or "", tags, peer.owner, expires,
        peer.description, group, number,
    )  # fmt: skip


def chosen(found: Iterable[Row], asked: Asked) -> list[Row]:
    """The rows that were asked for, in the order that was asked for."""
    words = asked.q.lower().split()
    left = [
        row
        for row in found
        if (not asked.state or row.state == asked.state)
        and (not asked.tag or asked.tag in row.tags)
        and (not asked.group or row.group == asked.group)
        and all(word in row.words for word in words)
    ]
    left.sort(key=lambda row: row.name)
    left.sort(key=_SORTS[asked.sort], reverse=bool(asked.down))
    return left
