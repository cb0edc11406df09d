"""How far a change of the mesh secret is, who has applied it, and the command that goes on. The page has no secret."""

from __future__ import annotations

from enum import Enum
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mesh_sync.errors import MeshSyncError
from mesh_sync.web.page import Page
from mesh_sync.web.view import render
from mesh_sync.workspace.fleet_now import FleetNow, Taken
from mesh_sync.workspace.secret_state import SecretState, Stage, having, secret_state

PEERS = 200
"""Peers that are listed at once."""
COMMANDS = {
    Stage.NONE: "mesh-sync secret new --secret-file F --push",
    Stage.SETTLED: "mesh-sync secret rotate --secret-file F --push",
    Stage.ANNOUNCED: "mesh-sync secret retire --push",
    Stage.MOVING: "mesh-sync secret retire --push",
    Stage.MOVED: "mesh-sync secret retire --push",
}
"""What goes on from each stage."""


class Applied(Enum):
    """Whether a node has applied what the list says of the secret."""

    YES = "yes"
    NO = "no"
    REFUSED = "refused"
    """It has not, because it lacks the secret."""
    UNKNOWN = "unknown"


def routes(page: Page) -> list[Route]:
    return [Route("/secrets", partial(_secrets, page)), Route("/quiet/secrets", partial(_secrets, page))]


def _secrets(page: Page, request: Request) -> Response:
    """What is committed: no edit of the page changes it, for that takes the secret."""
    committed, seen = page.gathered().base, page.fleet()
    fleet = seen.fleet if seen else None
    state, problem = None, None
    try:
        state = secret_state(committed)
    except MeshSyncError as error:
        problem = error
    nodes = applied(state, fleet, having(page.directory, state.changed.commit, _told(fleet))) if (
        state and state.changed and fleet and fleet.answered
    ) else {}  # fmt: skip
    held = {one.name: one for one in state.held} if state else {}
    part = request.url.path.startswith("/quiet/")
    return render(
        request, "secrets_part.html" if part else "secrets.html", current="signers", page=page, committed=committed,
        state=state, problem=problem, seen=seen, held=held, nodes=nodes, names=sorted({*held, *nodes}), most=PEERS,
        command=COMMANDS[state.stage] if state else "",
        late=sorted(name for name, one in nodes.items() if one is not Applied.YES),
    )  # fmt: skip


def applied(state: SecretState, fleet: FleetNow, has: frozenset[str]) -> dict[str, Applied]:
    """Whether each node has applied a commit of ``has``: without the secret in use a node would not have."""
    found = {}
    for name, (row, taken) in fleet.rows.items():
        said = row.said
        if said is None or taken is Taken.AHEAD:
            found[name] = Applied.UNKNOWN
        elif said.commit in has:
            found[name] = Applied.YES
        else:
            found[name] = Applied.REFUSED if said.cause == "secret" and state.use else Applied.NO
    return found


def _told(fleet: FleetNow | None) -> set[str]:
    """The commits that nodes say they have applied."""
    rows = fleet.rows.values() if fleet else ()
    return {row.said.commit for row, _ in rows if row.said and row.said.commit}
