"""Random lists without errors, and pairs of them that are mostly the same: peers that come, go, change or swap keys."""

from __future__ import annotations

from typing import Any

from attrs import evolve, field, frozen
from hypothesis import assume
from hypothesis import strategies as st

from mesh_sync.check.examine import examine
from mesh_sync.findings import errors
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import Tree
from unit.bad_list import MOMENT, key

NAMES = "abcdefg"
MOVABLE = ("192.168.50.0/24", "192.168.60.0/24", "172.16.9.9/32", "0.0.0.0/0", "fd77::/64")
"""Networks that may be behind any peer, one at a time."""
SHARED = "192.168.70.0/24"
"""A network that several peers may lead to, each with a priority."""
NETWORKS = ('["10.0.0.0/24"]', '["10.0.0.0/16"]', '["10.0.0.0/24", "fd00::/64"]')
LINES = (
    "relay = true", "managed = false", "persistent_keepalive = 0", "persistent_keepalive = 30", "listen_port = 4000",
    "mtu = 1300", 'exit = "none"', "enabled = false", "expires = 2026-02-01", "expires = 2025-01-01", 'tags = ["x"]',
    'machine = "one"', 'machine = "other"', 'managed = false\ndns = ["10.0.0.1"]',
    'managed = false\nexport_routes = ["10.0.0.0/25", "192.168.50.0/24"]',
    'managed = false\nexport_routes = ["192.168.0.0/16", "10.0.0.1/32"]',
)  # fmt: skip
ENDPOINTS = ("", 'endpoint = "203.0.113.{}:51820"', 'endpoint = "{}.example.org:51820"', 'endpoint = "198.51.100.{}:1"')


@frozen
class Declared:
    """What one peer's file says; ``key``, ``next_key`` (0: none) and ``address``, in ``net``, as numbers."""

    key: int
    address: int
    next_key: int = 0
    endpoint: int = 1
    via: str = ""
    exit: str = ""
    subnets: tuple[str, ...] = ()
    lines: frozenset[str] = frozenset()
    net: str = "10.0.0"

    def text(self) -> str:
        values = {
            "public_key": f'"{key(self.key)}"',
            "next_public_key": f'"{key(self.next_key)}"' if self.next_key else "",
            "addresses": f'["{self.net}.{self.address}"]',
            "subnets": str(list(self.subnets)).replace("'", '"') if self.subnets else "",
            "via": f'"{self.via}"' if self.via else "",
            "exit": f'"{self.exit}"' if self.exit else "",
        }
        lines = [f"{name} = {value}" for name, value in values.items() if value]
        return "\n".join([*lines, ENDPOINTS[self.endpoint].format(self.address), *sorted(self.lines), ""])


@frozen
class Listed:
    """A whole list: ``top``, the lines of mesh.toml, and its peers."""

    top: tuple[str, ...]
    peers: dict[str, Declared] = field(factory=dict)

    def mesh(self) -> Mesh | None:
        """The mesh that it declares; None if it has errors."""
        files = {f"peers/{name}.toml": peer.text() for name, peer in self.peers.items()}
        files["mesh.toml"] = "\n".join(['format = 1\nname = "lab"', *self.top, ""])
        mesh, findings = examine(Tree({path: text.encode() for path, text in files.items()}), MOMENT)
        return None if errors(findings) else mesh


@st.composite
def tops(draw: st.DrawFn) -> tuple[str, ...]:
    more = ("persistent_keepalive = 20", "mtu = 1380", "listen_port = 51000", 'exit = "a"')
    lines = [f"networks = {draw(st.sampled_from((NETWORKS[0], *NETWORKS)))}"]
    lines += draw(st.lists(st.sampled_from(more), unique=True, max_size=1))
    if draw(st.integers(0, 5)) == 0:
        lines.append('preshared_keys = "derived"\n[preshared]\nsecret = 1')
    return tuple(lines)


@st.composite
def declared(draw: st.DrawFn, name: str, key: int, address: int) -> Declared:
    others = [other for other in NAMES if other < name]  # no circles
    lines = draw(st.lists(st.sampled_from(LINES), unique_by=lambda line: line.partition(" ")[0], max_size=2))
    relay = "relay = true" in lines
    return Declared(
        key=key,
        address=address,
        next_key=draw(st.sampled_from([0, 0, 0, key + 100])),
        endpoint=draw(st.integers(1 if relay else 0, len(ENDPOINTS) - 1)),
        via=draw(st.sampled_from(["", "", *others])) if others and not relay else "",
        exit=draw(st.sampled_from(["", "", "", "a", "b"])) if 'exit = "none"' not in lines else "",
        lines=frozenset(line for line in lines if not (relay and line.startswith("managed"))),
    )


@st.composite
def lists(draw: st.DrawFn) -> Listed:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=2))
    peers = {name: draw(declared(name, NAMES.index(name) + 1, NAMES.index(name) + 1)) for name in names}
    return _complete(draw, Listed(draw(tops()), peers))


def _complete(draw: Any, found: Listed) -> Listed:
    """Each movable network behind one peer or none; no `via` or `exit` to where there is none."""
    peers = {
        name: evolve(peer, subnets=tuple(own for own in peer.subnets if own not in (*MOVABLE, SHARED)))
        for name, peer in found.peers.items()
    }
    for network in MOVABLE:
        owner = draw(st.sampled_from(["", *sorted(peers)]))
        if owner:
            peers[owner] = evolve(peers[owner], subnets=(*peers[owner].subnets, network))
    for priority, name in enumerate(draw(st.lists(st.sampled_from(sorted(peers)), unique=True))):
        lines = frozenset(line for line in peers[name].lines if not line.startswith("priority"))
        if not peers[name].via:
            peers[name] = evolve(
                peers[name], subnets=(*peers[name].subnets, SHARED), lines=lines | {f"priority = {priority}"}
            )
    offering = {name for name, peer in peers.items() if "0.0.0.0/0" in peer.subnets}
    for name, peer in peers.items():
        via, exit_ = peer.via if peer.via in peers else "", peer.exit if peer.exit in offering - {name} else ""
        peers[name] = evolve(peer, via=via, exit=exit_)
    top = tuple(line for line in found.top if line != 'exit = "a"' or "a" in offering)
    return evolve(found, top=top, peers=peers)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Mesh, Mesh]:
    """A list, and what becomes of it."""
    before = draw(lists())
    peers = dict(before.peers)
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3)):
        was = peers.pop(name, None)
        number = NAMES.index(name) + 1
        how = draw(st.sampled_from(["change", "key", "swap", "move", "go"]))
        if was is None or how == "change":
            kept = was or Declared(number, number)
            peers[name] = draw(declared(name, kept.key, kept.address))
        elif how == "key":
            peers[name] = evolve(was, key=was.next_key or number + 50, next_key=0)
        elif how == "swap" and peers:
            other = draw(st.sampled_from(sorted(peers)))
            peers[name] = evolve(
                was, key=peers[other].key, address=draw(st.sampled_from([was.address, peers[other].address]))
            )
            peers[other] = evolve(
                peers[other],
                key=was.key,
                address=was.address if peers[name].address != was.address else peers[other].address,
            )
        elif how == "move":
            peers[name] = evolve(was, address=number + 30)
    after = Listed(draw(st.one_of(st.just(before.top), tops())), peers)
    if draw(st.booleans()):
        after = _complete(draw, after)
    meshes = before.mesh(), after.mesh()
    assume(all(meshes))
    return meshes  # type: ignore[return-value]
