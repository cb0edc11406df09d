"""From values to HTML: templates in which every text is escaped, in the language of the person who looks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from mesh_sync.findings import printable
from mesh_sync.web.guard import cookie
from mesh_sync.web.texts import NAMES, TAGS, Texts, preferred

LANGUAGE = "mesh-sync-language"
"""The cookie with the language that a person has chosen; nothing depends on it."""

_ENVIRONMENT = Environment(
    loader=PackageLoader("mesh_sync.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, auto_reload=False,
)  # fmt: skip


def _path(*parts: str) -> str:
    """A path of these parts, each of which may be any text."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _moment(seconds: float) -> str:
    """A moment in Unix seconds; empty where it is none, as a node could say."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def peers_said(t: Texts, up: int, stale: int, relayed: int, new: int) -> str:
    """How many peers of a node are up; and stale, relayed and new, if there are any."""
    words = t("fleet.up", n=up)
    words += t("fleet.stale", n=stale) if stale else ""
    words += t("fleet.relayed", n=relayed) if relayed else ""
    return words + (t("fleet.new", n=new) if new else "")


_ENVIRONMENT.globals["path"] = _path
_ENVIRONMENT.globals["peers_said"] = peers_said
_ENVIRONMENT.filters["moment"] = _moment
_ENVIRONMENT.filters["printable"] = printable


FIRST = (
    "mesh.html", "page.html", "base.html", "mesh_table.html", "taken.html", "fleet_note.html", "findings.html",
    "entered.html",
)  # fmt: skip
"""The templates of the first page. To compile them all takes half a second of processor time."""


def compile_templates() -> None:
    """Compile those of the first page, so that it does not wait for that; others are when they are asked for."""
    for name in FIRST:
        _ENVIRONMENT.get_template(name)


def texts_for(request: Request) -> Texts:
    """The texts in the language that was chosen, else in the one that the browser asks for."""
    return Texts(cookie(request.headers, LANGUAGE) or preferred(request.headers.get("accept-language", "")))


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, or a part of one."""
    query = f"?{request.url.query}" if request.url.query else ""
    common = {"t": texts_for(request), "languages": NAMES, "tags": TAGS, "here": request.url.path + query}
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(common | values), status)


def is_markup(text: str) -> Markup:
    """A text of ours that is HTML already, with everything in it escaped where it was made."""
    return Markup(text)  # noqa: S704 - of `graph_picture.svg` and segno, which escape
