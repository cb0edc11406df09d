"""Who waits to be admitted, with the fingerprint to compare; an invitation for one more machine; a proposal by hand."""

from __future__ import annotations

from functools import partial

from attrs import frozen
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mesh_sync.errors import ConfigError, MeshSyncError, Refused
from mesh_sync.invitation.answer import LONGEST
from mesh_sync.invitation.token import Keys
from mesh_sync.web.forms import Form
from mesh_sync.web.page import Page
from mesh_sync.web.view import render
from mesh_sync.workspace import edit_peer, proposal
from mesh_sync.workspace import invite as invitations
from mesh_sync.workspace.invite import Invited

MINUTES = 60
"""For how long a line is good, unless it is said."""
LISTS = ("endpoint", "subnets", "addresses")
NOT_ASKED, BY_HAND, IN_PLAN, LISTED, WRONG = "not-asked", "by-hand", "in-plan", "listed", "forged"
"""Standings that the page knows by itself."""


@frozen
class Guest:
    """One invitation: what was invited, how it stands, and the keys that came, if an admin may let them in."""

    invited: Invited
    state: str
    keys: Keys | None = None
    problem: MeshSyncError | None = None


def routes(page: Page) -> list[Route]:
    return [
        Route("/invite", partial(_show, page)),
        Route("/quiet/invite", partial(_show, page)),
        Route("/invite", partial(_invite, page), methods=["POST"]),
        Route("/invite/ask", partial(_ask, page), methods=["POST"]),
        Route("/invite/let-in", partial(_let_in, page), methods=["POST"]),
        Route("/invite/withdraw", partial(_withdraw, page), methods=["POST"]),
        Route("/invite/line", partial(_line, page), methods=["POST"]),
        Route("/invite/by-hand", partial(_by_hand, page), methods=["POST"]),
    ]


def _guests(page: Page) -> list[Guest]:
    inviting, base, present = page.inviting, page.gathered().base, page.committed()

    def guest(invited: Invited) -> Guest:
        name, found = invited.name, inviting.standings.get(invited.name)
        if base.peer(name):
            return Guest(invited, LISTED)
        if present.peer(name):
            return Guest(invited, IN_PLAN)
        if not invited.token_key:
            return Guest(invited, BY_HAND)
        if name in inviting.wrong:
            return Guest(invited, WRONG, problem=inviting.wrong[name])
        if found is None:
            return Guest(invited, NOT_ASKED)
        return Guest(invited, found.state, found.keys if found.state == "waiting" else None)

    return [guest(invited) for invited in inviting.look()]


def _show(
    page: Page, request: Request, *, problem: MeshSyncError | None = None, sent: Form | None = None,
    asked: proposal.Proposal | None = None, line: tuple[str, str] = ("", ""),
) -> Response:  # fmt: skip
    part = request.url.path.startswith("/quiet/")
    status = 200 if problem is None else 400
    return render(
        request, "invite_part.html" if part else "invite.html", status=status, current="invite", page=page,
        committed=page.committed(), guests=_guests(page), inviting=page.inviting, problem=problem, sent=sent,
        minutes=MINUTES, asked=asked, line=line, shares=bool(page.committed().mesh.preshared),
    )  # fmt: skip


def _invite(page: Page, request: Request) -> Response:
    """Make an invitation, in the background: ssh may ask for something, or take its time."""
    form = Form.of(request)
    try:
        name, minutes = form.text("name"), form.text("minutes") or str(MINUTES)
        edit_peer.file_of(name)
        if page.committed().peer(name):
            raise ConfigError(f"there is a peer {name} already", hint="choose another name")
        if not (minutes.isascii() and minutes.isdigit() and 0 < int(minutes[:9]) * 60 <= LONGEST):
            raise ConfigError(f"a line is good for 1 to {LONGEST // 60} minutes")
        values = {key: form.lines(key) for key in LISTS if form.lines(key)}
        page.inviting.invite(name, values, int(minutes) * 60, form.text("masquerade"))
    except MeshSyncError as problem:
        return _show(page, request, problem=problem, sent=form)
    return RedirectResponse("/invite", 303)


def _ask(page: Page, request: Request) -> Response:  # noqa: ARG001
    page.inviting.follow()
    return RedirectResponse("/invite", 303)


def _let_in(page: Page, request: Request) -> Response:
    """Add the peer to the edits, with the keys whose fingerprint the person has compared, and no others."""
    form = Form.of(request)
    name = form.text("name")
    found = next((one for one in _guests(page) if one.invited.name == name), None)
    if found is None or found.keys is None or found.keys.fingerprint != form.text("fingerprint"):
        raise Refused("these are not the keys that you saw", hint="look at the invitations again")
    if "same" not in form.fields:
        raise Refused("the fingerprint was not compared", hint=f"`join` shows it on {name}")
    keys = found.keys
    page.edit(lambda edit: invitations.admit(edit, found.invited, keys))
    return RedirectResponse("/plan", 303)


def _withdraw(page: Page, request: Request) -> Response:
    page.inviting.withdraw(invitations.remembered(page.directory, _name(request)))
    return RedirectResponse("/invite", 303)


def _line(page: Page, request: Request) -> Response:
    """Show the line of an invitation, and forget it."""
    name = _name(request)
    return _show(page, request, line=(name, page.inviting.line(name)))


def _name(request: Request) -> str:
    """The peer that a form is about. Raise ConfigError when that is no name."""
    name = Form.of(request).text("name")
    edit_peer.file_of(name)
    return name


def _by_hand(page: Page, request: Request) -> Response:
    """Show what a command of `join` asks for; then, once the person has compared it, add the peer to the edits."""
    form = Form.of(request)
    try:
        asked = proposal.read(form.raw("text"))
        if "same" not in form.fields:
            return _show(page, request, sent=form, asked=asked)
        page.edit(lambda edit: proposal.let_in(edit, asked))
    except MeshSyncError as problem:
        return _show(page, request, problem=problem, sent=form)
    return RedirectResponse("/plan", 303)
