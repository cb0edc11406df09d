"""A peer: all that its file says, how it meets the others, and the form that changes it."""

from __future__ import annotations

import hashlib
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mesh_sync.errors import ConfigError, MeshSyncError, Refused
from mesh_sync.mesh.layout import MESH_FILE, peer_path
from mesh_sync.web.forms import Form
from mesh_sync.web.page import Page
from mesh_sync.web.peer_form import GROUPS, fields, said, switches
from mesh_sync.web.view import render
from mesh_sync.workspace import edit_peer, rename_peer
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.gathered import replace
from mesh_sync.workspace.pairs import pairs_of
from mesh_sync.workspace.peer_key import new_key

PAIRS = 200
"""Pairs that are shown at once."""


def routes(page: Page) -> list[Route]:
    """The pages of a peer and of a new one, and of the mesh's own file."""
    return [
        Route("/peer/{name}", partial(_show, page)),
        Route("/peer/{name}/edit", partial(_edit, page), methods=["GET", "POST"]),
        Route("/peer/{name}/remove", partial(_remove, page), methods=["POST"]),
        Route("/peer/{name}/rename", partial(_rename, page), methods=["POST"]),
        Route("/new", partial(_new, page), methods=["GET", "POST"]),
        Route("/settings", partial(_settings, page), methods=["GET", "POST"]),
    ]


def mark(text: str | None) -> str:
    """What tells one text of a file from another: a form carries that of the text which it was made from."""
    return hashlib.sha256((text or "").encode()).hexdigest()


def _show(page: Page, request: Request) -> Response:
    committed, name = page.committed(), request.path_params["name"]
    peer, view = committed.peer(name), committed.view
    text = _text(committed, name)
    pairs = pairs_of(view, name) if peer else ()
    seen = page.fleet()
    fleet = seen.fleet if seen else None
    return render(
        request, "peer.html", current="mesh", page=page, committed=committed, name=name, peer=peer, text=text,
        facts=view.declared(peer) if peer else {}, effective=view.effective(peer) if peer else {},
        state=view.state(peer) if peer else "unreadable", pairs=pairs,
        most=len(pairs) if "all" in request.query_params else PAIRS,
        findings=[one for one in committed.findings if one.file == peer_path(name)], sent=None,
        seen=seen, said=fleet.rows.get(name) if fleet else None, now=fleet.pairs(name, pairs) if fleet else {},
    )  # fmt: skip


def _text(committed: Committed, name: str) -> str:
    """A peer's file. Raise ConfigError when there is no such peer."""
    path = edit_peer.file_of(name) if committed.peer(name) is None else peer_path(name)
    if committed.peer(name) is None and name not in committed.unreadable:
        raise ConfigError(f"there is no {path}")
    return committed.text(path) or ""


def _edit(page: Page, request: Request) -> Response:
    committed, name = page.committed(), request.path_params["name"]
    text, peer = _text(committed, name), committed.peer(name)
    form = Form.of(request) if request.method == "POST" else None
    as_toml = "toml" in request.query_params or peer is None
    problem: MeshSyncError | None = None
    if form is not None:
        try:
            if form.text("was") != mark(text):
                raise Refused(
                    "the file has changed since this form was made", hint="the form below has it as it is now"
                )
            page.edit(lambda edit: _changed(edit, name, form, committed))
            return RedirectResponse("/plan", 303)
        except MeshSyncError as error:
            problem = error
    return render(
        request, "edit.html", status=400 if problem else 200, current="mesh", page=page, committed=committed, name=name,
        was=mark(text), text=form.raw("text") if form and as_toml and "text" in form.fields else text,
        as_toml=as_toml, problem=problem, switches=switches(peer),
        path_of_file=peer_path(name), action=request.url.path + ("?toml" if as_toml else ""),
        groups={group: list(fields(peer, keys)) for group, keys in GROUPS.items()}, sent=form, is_new=False,
    )  # fmt: skip


def _changed(edit: Edit, name: str, form: Form, committed: Committed) -> Edited:
    if "text" in form.fields:
        return replace(edit, peer_path(name), form.raw("text"))
    values, unset = said(form, committed.peer(name))
    if not values and not unset:
        raise ConfigError("the form says what the file says already")
    return edit_peer.change(edit, name, values, unset)


def _new(page: Page, request: Request) -> Response:
    """A new peer; the key of an unmanaged one can be made here."""
    form, problem = Form.of(request) if request.method == "POST" else None, None
    if form is not None:
        try:
            name, (values, _) = form.text("name"), said(form, None)
            if "make_key" in form.fields:
                private, values["public_key"] = new_key()
            if "public_key" not in values:
                raise ConfigError("a peer needs its public key", hint="what `wg pubkey` prints on that machine")
            page.edit(lambda edit: edit_peer.add(edit, name, values))
            if "make_key" in form.fields:
                page.private_keys[str(values["public_key"])] = private
                return RedirectResponse(f"/peer/{name}/export", 303)
            return RedirectResponse("/plan", 303)
        except MeshSyncError as error:
            problem = error
    free = "" if form else "\n".join(map(str, _free(page)))
    groups = {group: list(fields(None, keys)) for group, keys in GROUPS.items()}
    return render(
        request, "edit.html", status=400 if problem else 200, current="new", page=page, committed=page.committed(),
        name="", was="", text="", as_toml=False, problem=problem, switches=switches(None), path_of_file="",
        groups=groups, sent=form, is_new=True, action="/new", free=free,
    )  # fmt: skip


def _free(page: Page) -> list[object]:
    try:
        return list(page.committed().mesh.free_addresses())
    except MeshSyncError:
        return []


def _remove(page: Page, request: Request) -> Response:
    page.edit(lambda edit: edit_peer.remove(edit, request.path_params["name"]))
    return RedirectResponse("/plan", 303)


def _rename(page: Page, request: Request) -> Response:
    new = Form.of(request).text("name")
    page.edit(lambda edit: rename_peer.rename(edit, request.path_params["name"], new))
    return RedirectResponse("/plan", 303)


def _settings(page: Page, request: Request) -> Response:
    """mesh.toml, as text."""
    committed = page.committed()
    text, problem = committed.text(MESH_FILE) or "", None
    form = Form.of(request) if request.method == "POST" else None
    if form is not None:
        try:
            if form.text("was") != mark(text):
                raise Refused(
                    "the file has changed since this form was made", hint="the form below has it as it is now"
                )
            page.edit(lambda edit: replace(edit, MESH_FILE, form.raw("text")))
            return RedirectResponse("/plan", 303)
        except MeshSyncError as error:
            problem = error
    return render(
        request, "edit.html", status=400 if problem else 200, current="settings", page=page, committed=committed,
        name="", was=mark(text), text=form.raw("text") if form else text, as_toml=True, problem=problem,
        switches={}, groups={}, path_of_file=MESH_FILE, sent=form, is_new=False, action="/settings",
    )  # fmt: skip
