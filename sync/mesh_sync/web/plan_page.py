"""The plan: what the edits do to every node, before they are signed and pushed; and the push as it goes on."""

from __future__ import annotations

from difflib import unified_diff
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mesh_sync.errors import MeshSyncError
from mesh_sync.web.forms import Form
from mesh_sync.web.page import Page
from mesh_sync.web.view import render
from mesh_sync.workspace.direct_pairs import no_longer_direct
from mesh_sync.workspace.gathered import Gathered
from mesh_sync.workspace.plan_markdown import grouped

NODES = 100
"""Nodes that are listed one by one."""
PAIRS = 50
DIFF = 2000
"""Lines of the difference of the files."""
ENDS = "peer-removed"
"""The kind of change by which a node loses a session."""


def routes(page: Page) -> list[Route]:
    return [
        Route("/plan", partial(_plan, page)),
        Route("/plan/drop", partial(_drop, page), methods=["POST"]),
        Route("/push", partial(_push, page), methods=["POST"]),
        Route("/pushing", partial(_pushing, page)),
        Route("/quiet/pushing", partial(_pushing, page)),
    ]


def _plan(page: Page, request: Request, *, was_other: bool = False) -> Response:
    gathered = page.gathered()
    preview, problem = None, None
    try:
        preview = gathered.preview() if gathered.files else None
    except MeshSyncError as error:  # the list had errors before: what they do cannot be told
        problem = error
    groups = grouped(preview.nodes) if preview else {}
    before = set(gathered.base.findings)
    lost = list(no_longer_direct(gathered.base.view, gathered.present.view)) if preview else []
    return render(
        request, "plan.html", status=409 if was_other else 200, current="plan", page=page, committed=gathered.present,
        gathered=gathered, preview=preview, problem=problem, groups=groups, nodes=NODES, was_other=was_other,
        move=page.move, lost=lost, most_pairs=PAIRS, diff=list(_diff(gathered))[:DIFF],
        ending=sum(change.kind == ENDS for changes in preview.nodes.values() for change in changes) if preview else 0,
        news=[finding for finding in gathered.present.findings if finding not in before],
        old_errors=[finding for finding in gathered.present.errors if finding in before],
        default=gathered.message("", frozenset()).partition("\n")[0] if gathered.files else "",
    )  # fmt: skip


def _diff(gathered: Gathered) -> list[str]:
    found: list[str] = []
    for path, text in sorted(gathered.files.items()):
        old, new = (gathered.base.text(path) or "").splitlines(), (text or "").splitlines()
        found += unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")
    return found


def _drop(page: Page, request: Request) -> Response:
    page.drop(Form.of(request).text("path"))
    return RedirectResponse("/plan", 303)


def _push(page: Page, request: Request) -> Response:
    """Sign and push the edits of the plan that the person has seen; if these are others by now, show the plan again."""
    form = Form.of(request)
    if not page.push(form.text("mark"), form.text("subject"), frozenset(form.fields.get("allow", []))):
        return _plan(page, request, was_other=True)
    return RedirectResponse("/pushing", 303)


def _pushing(page: Page, request: Request) -> Response:
    if page.pushing is None:
        return RedirectResponse("/plan", 303)
    part, pushing = request.url.path.startswith("/quiet/"), page.pushing
    if "from" in request.query_params and not pushing.is_running:  # the whole page is another by now, its head too
        return Response(headers={"HX-Refresh": "true"})
    seen = page.fleet(pushing.ended) if pushing.commit and not pushing.is_running else None
    follows = bool(pushing.commit) and (seen is None or bool(seen.fleet and not seen.fleet.is_done))
    return render(
        request, "pushing_part.html" if part else "pushing.html", current="plan", page=page, pushing=pushing,
        committed=page.committed(), seen=seen, follows=follows, most=PAIRS,
    )  # fmt: skip
