"""What changed in the mesh, by which signed commit, who may sign; and taking a commit back."""

from __future__ import annotations

import re
from functools import partial
from itertools import islice

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.web.forms import Form
from mesh_sync.web.page import Page
from mesh_sync.web.view import render
from mesh_sync.workspace import edit_signers
from mesh_sync.workspace.signed_history import log
from mesh_sync.workspace.take_back import take_back

REVISIONS = 50
"""Commits of one page."""
CHANGES = 30
"""Changes of a commit that are shown."""
COMMIT = re.compile("[0-9a-f]{40}")


def routes(page: Page) -> list[Route]:
    return [
        Route("/history", partial(_history, page)),
        Route("/history/take-back", partial(_take_back, page), methods=["POST"]),
        Route("/signers", partial(_signers, page), methods=["GET", "POST"]),
        Route("/signers/remove", partial(_remove_signer, page), methods=["POST"]),
    ]


def _history(page: Page, request: Request) -> Response:
    """The newest commits first; of one peer too, under all names that it had."""
    number, peer = request.query_params.get("page", ""), request.query_params.get("peer", "")
    at = max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < 5 else 1
    found = list(islice(log(page.directory, peer), (at - 1) * REVISIONS, at * REVISIONS + 1))
    return render(
        request, "history.html", current="history", page=page, committed=page.committed(), revisions=found[:REVISIONS],
        at=at, has_more=len(found) > REVISIONS, peer=peer, most=CHANGES,
    )  # fmt: skip


def _take_back(page: Page, request: Request) -> Response:
    commit = Form.of(request).text("commit")
    if not COMMIT.fullmatch(commit):
        raise ConfigError("that is no commit")
    page.edit(lambda edit: take_back(edit, commit))
    return RedirectResponse("/plan", 303)


def _signers(page: Page, request: Request) -> Response:
    """Who may sign, and a form for one more key."""
    form, problem = Form.of(request) if request.method == "POST" else None, None
    if form is not None:
        try:
            if " " not in form.text("key"):
                raise ConfigError("that is no SSH public key: its type, a space, and the key")
            page.edit(lambda edit: edit_signers.add(edit, form.text("principal"), form.text("key")))
            return RedirectResponse("/plan", 303)
        except MeshSyncError as error:
            problem = error
    committed = page.committed()
    entries: tuple[object, ...] = ()
    try:
        entries = edit_signers.in_force(committed.copy()).entries
    except MeshSyncError as error:
        problem = problem or error
    return render(
        request, "signers.html", status=400 if form else 200, current="signers", page=page, committed=committed,
        entries=entries, problem=problem, sent=form, moment=committed.moment,
    )  # fmt: skip


def _remove_signer(page: Page, request: Request) -> Response:
    who = Form.of(request).text("fingerprint")
    page.edit(lambda edit: edit_signers.remove(edit, who))
    return RedirectResponse("/plan", 303)
