"""`mesh-sync plan` works the difference of two lists out once, and says what comparing whole interfaces says."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import HealthCheck, event, given, settings

from mesh_sync.mesh.differing import Differing
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.topology import Neighbour
from mesh_sync.terminal.say import count
from mesh_sync.wireguard.desired import DesiredPeer
from mesh_sync.wireguard.plan import Change
from mesh_sync.workspace.preview import changes_between, changes_of
from unit.bad_list import MOMENT
from unit.pairs_of_lists import Declared, Listed, pairs


def slow(before: Renderer, after: Renderer, name: str) -> tuple[Change, ...]:
    """The reference: all of a node's interface in one list, beside all of it in the other."""
    if name not in after.topology.members:
        return (Change("node-removed", "leaves the mesh: it is no longer a peer of any node", name),)
    desired = after.desired(name)
    if name not in before.topology.members:
        return (Change("node-added", f"joins the mesh with {count(len(desired.peers), 'peer')}", name),)
    was, will_be = before.topology.exit_of(name), after.topology.exit_of(name)
    text = f"all that has no other route leaves by the exit {will_be}" if will_be else "no longer leaves by an exit"
    way = Change("exit", f"{text} (before: {was})" if was else text, will_be or was)
    old, new = before.desired(name).machine, desired.machine
    text = f"is up on the machine {new} only" if new else "is up on every machine that has its key"
    place = Change("machine", f"{text} (before: {old})" if old else text)
    own = [change for change, differs in ((place, old != new), (way, was != will_be)) if differs]
    found = (*own, *changes_between(before.desired(name), desired))
    old_dns, new_dns = (rendered.topology.members[name].dns for rendered in (before, after))
    text = f"asks {', '.join(new_dns)} for names" if new_dns else "keeps its own nameservers"
    dns = Change("dns", f"{text} (before: {', '.join(old_dns)})" if old_dns else text)
    again = Change("export", f"does not follow the list: `mesh-sync export {name}` makes its new config")
    asked = [dns] if old_dns != new_dns else []
    return (*found, *asked, *([again] if not after.topology.members[name].managed and (found or asked) else []))


@given(pairs())
@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_the_difference_is_that_of_the_whole_interfaces(pair: tuple[Mesh, Mesh]) -> None:
    before, after = (Renderer(mesh, MOMENT) for mesh in pair)
    lists = Differing(before, after)
    for name in sorted({*before.names, *after.names}):
        found = changes_of(name, lists)
        for change in found:
            event(change.kind)
        assert found == slow(before, after, name), name


def listed(**peers: Declared) -> Renderer:
    """The list of these peers; of the mesh's networks all that their addresses lie in."""
    networks = sorted({f'"{peer.net}.0/24"' for peer in peers.values()})
    mesh = Listed((f"networks = [{', '.join(networks)}]",), peers).mesh()
    assert mesh
    return Renderer(mesh, MOMENT)


def sending(route: str) -> frozenset[str]:
    """The lines of a phone that sends only this into its tunnels."""
    return frozenset({f'managed = false\nexport_routes = ["{route}"]'})


A, B, C, D = (Declared(number, number) for number in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            listed(a=A, b=B, c=evolve(C, via="a"), d=evolve(D, via="c")),
            listed(a=A, b=B, c=evolve(C, via="d"), d=D),
            id="a relay and the peer below it change places",
        ),
        pytest.param(
            listed(a=A, b=B, c=evolve(C, via="a"), d=evolve(D, via="c")),
            listed(a=evolve(A, key=D.key), b=B, c=evolve(C, via="a"), d=evolve(D, via="c", key=A.key)),
            id="a relay and a peer that is two below it swap keys",
        ),
        pytest.param(
            listed(a=evolve(A, net="192.168.7"), b=B, c=evolve(C, via="b")),
            listed(a=evolve(A, subnets=("192.168.7.1/32",)), b=B, c=evolve(C, via="b")),
            id="what was a peer's address is a network behind it",
        ),
        pytest.param(
            listed(a=A, b=B, c=evolve(C, via="a")),
            listed(a=A, b=B, c=evolve(C, via="a", lines=frozenset({"managed = false"}))),
            id="a node below a relay becomes a phone, which sends its hub all that is for the mesh",
        ),
        pytest.param(
            listed(a=A, b=B, c=evolve(C, via="a")), listed(a=A, b=B, c=evolve(C, via="b")), id="another relay"
        ),
        pytest.param(
            listed(a=A, b=B, c=evolve(C, lines=sending("10.0.0.1/32"))),
            listed(a=A, b=B, c=evolve(C, lines=sending("10.0.0.2/32"))),
            id="other routes of a phone with a tunnel to each, whom nothing else has changed",
        ),
    ],
)
def test_the_difference_of_lists_that_chance_does_not_find(before: Renderer, after: Renderer) -> None:
    for there, back in ((before, after), (after, before)):
        lists = Differing(there, back)
        names = sorted({*there.names, *back.names})
        assert {name: changes_of(name, lists) for name in names} == {name: slow(there, back, name) for name in names}


def test_what_all_see_alike_is_looked_at_once_and_not_by_each(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"n{number}": Declared(number, number) for number in range(1, 101)}
    hub = {f"c{number}": Declared(number, number, via="n1") for number in range(101, 201)}
    before, after = listed(**many, **hub), listed(**many, **hub, new=Declared(201, 201))
    lists = Differing(before, after)
    seen, look = [], Renderer._peer

    def counted(rendered: Renderer, neighbour: Neighbour, keepalive: int) -> DesiredPeer:
        seen.append(neighbour)
        return look(rendered, neighbour, keepalive)

    monkeypatch.setattr(Renderer, "_peer", counted)
    found = {name: changes_of(name, lists) for name in after.names}
    assert len(found["n2"]) == len(found["c101"]) == 1
    assert len(seen) < 4 * len(found) + 2 * len(hub)
