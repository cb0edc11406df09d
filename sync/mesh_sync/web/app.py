"""Which address is answered by which page, behind the guard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from mesh_sync.errors import MeshSyncError
from mesh_sync.web import export_page, history_page, invite_page, mesh_page, peer_page, plan_page, secrets_page
from mesh_sync.web.entrance import ENTER, Entrance
from mesh_sync.web.forms import Form
from mesh_sync.web.guard import Guard
from mesh_sync.web.page import Page
from mesh_sync.web.texts import CATALOGUES
from mesh_sync.web.view import LANGUAGE, compile_templates, render

STATIC = Path(__file__).parent / "static"
STATUS = {2: 404, 3: 502, 4: 409}
"""The HTTP status of an error, by its exit code; 400 for others."""


def application(directory: Path, entrance: Entrance, used: Callable[[], None]) -> Guard:
    """The page of the working copy ``directory``. ``used`` is called at each request of the person it is for."""
    page = Page(directory)
    Thread(target=_get_ready, args=(page,), daemon=True).start()
    routes = [
        Route(ENTER, _entering(entrance), methods=["POST"]),
        Route("/language/{language}", _language),
        Mount("/static", StaticFiles(directory=STATIC)),
        *history_page.routes(page),
        *invite_page.routes(page),
        *mesh_page.routes(page),
        *export_page.routes(page),
        *peer_page.routes(page),
        *plan_page.routes(page),
        *secrets_page.routes(page),
    ]
    handlers: dict[Any, Any] = {MeshSyncError: _problem, 404: _missing}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), entrance, _stranger, used)


def _get_ready(page: Page) -> None:
    """Do what the first page needs while the browser starts: compile the templates, check the list."""
    compile_templates()
    with suppress(MeshSyncError):  # whoever asks for a page is told
        _ = page.committed().findings


def _entering(entrance: Entrance) -> Callable[[Request], Response]:
    def enter(request: Request) -> Response:
        """Let in whoever brings the token first.

        The cookie is sent only by requests that this page causes (SameSite=Strict). What a redirect of a request from
        elsewhere causes is none of these: so the answer is a page that goes on by itself.
        """
        session = entrance.enter(Form.of(request).text("token"))
        if session is None:
            return render(request, "enter.html", status=401, is_wrong=True)
        answer = render(request, "entered.html")
        answer.set_cookie(entrance.cookie, session, httponly=True, samesite="strict", path="/")
        return answer

    return enter


async def _stranger(scope: Any, receive: Any, send: Any) -> None:
    """For a person who has no cookie: a form for the token."""
    await render(Request(scope), "enter.html", status=401, is_wrong=False)(scope, receive, send)


def _language(request: Request) -> Response:
    """Remember a language, and go back to where the person was."""
    to, language = request.query_params.get("to", "/"), request.path_params["language"]
    answer = RedirectResponse(to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/", 303)
    if language in CATALOGUES:
        answer.set_cookie(LANGUAGE, language, max_age=365 * 86400, httponly=True, samesite="strict", path="/")
    return answer


def _problem(request: Request, error: MeshSyncError) -> Response:
    """What a person can cause, as a page: a sentence, and what to do next."""
    status = STATUS.get(error.exit_code, 400)
    return render(request, "problem.html", status=status, message=error.message, hint=error.hint)


def _missing(request: Request, error: Exception) -> Response:  # noqa: ARG001
    if request.method != "GET":
        return PlainTextResponse("there is no such page", 404)
    return render(request, "problem.html", status=404, message="", hint="")
