"""The config of a peer that does not run mesh-sync, as a code to scan and as a file. A key made here is shown once."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.model import Peer
from mesh_sync.web.page import Page
from mesh_sync.web.view import is_markup, render
from mesh_sync.workspace import edit_peer
from mesh_sync.workspace.export import code, text_of
from mesh_sync.workspace.peer_key import new_key


def routes(page: Page) -> list[Route]:
    return [
        Route("/peer/{name}/export", partial(_export, page), methods=["GET", "POST"]),
        Route("/peer/{name}/key", partial(_key, page), methods=["POST"]),
    ]


def _unmanaged(page: Page, request: Request) -> Peer:
    """The peer. Raise ConfigError when there is none, or one that makes its config itself."""
    name = request.path_params["name"]
    peer = page.committed().peer(name)
    if peer is None:
        raise ConfigError(f"there is no {edit_peer.file_of(name)}")
    if peer.managed:
        raise ConfigError(
            f"{name} runs mesh-sync, and makes its own config", hint=f"mesh-sync peer set {name} --unmanaged"
        )
    return peer


def _export(page: Page, request: Request) -> Response:
    """Ask first; then show the config, and forget the key."""
    peer = _unmanaged(page, request)
    has_key = peer.public_key in page.private_keys
    values: dict[str, Any] = {
        "current": "mesh",
        "page": page,
        "committed": page.committed(),
        "name": peer.name,
        "has_key": has_key,
    }
    if request.method != "POST":
        return render(request, "export.html", config="", picture="", link="", problem=None, **values)
    problem: MeshSyncError | None = None
    config = picture = link = ""
    try:
        config = text_of(page.committed(), peer.name, page.private_keys.get(peer.public_key))
        link = "data:application/octet-stream;base64," + base64.b64encode(config.encode()).decode()
        if page.private_keys.pop(peer.public_key, None):
            picture = is_markup(code(config).svg_inline(omitsize=True, border=4, light="#fff", dark="#000"))
    except MeshSyncError as error:
        problem = error
    return render(request, "export.html", config=config, picture=picture, link=link, problem=problem, **values)


def _key(page: Page, request: Request) -> Response:
    """Give the peer a key that is made here: the one that it has stops working when this is pushed."""
    peer = _unmanaged(page, request)
    private, public = new_key()
    page.edit(lambda edit: edit_peer.change(edit, peer.name, {"public_key": public}, ()))
    page.private_keys[public] = private
    return RedirectResponse(f"/peer/{peer.name}/export", 303)
