"""What every request passes before a page sees it: from this machine's browser, from this page, by its owner.

Loopback is no protection by itself: other users of the machine reach it, and so does every web page that the operator
looks at. A name that a stranger's DNS leads to 127.0.0.1 makes that page and this one the same origin for the browser
(DNS rebinding), hence the check of Host; forms of other pages can be sent here, hence that of Sec-Fetch-Site and
Origin. The measures are those of Jupyter, Syncthing, Tailscale's page and Go's CrossOriginProtection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh_sync.web.entrance import ENTER, Entrance

MOST = 1024 * 1024
"""Bytes of a request's body."""
MOST_HEADERS = 16 * 1024
"""Bytes of its headers."""
BODY_DEADLINE = 10.0
"""Seconds for a body to arrive."""
DEADLINE = 120.0
"""Seconds for a page to be made."""
HOSTS = ("127.0.0.1", "localhost", "[::1]")
STATIC = "/static/"
QUIET = "/quiet/"
"""Paths that a page asks for by itself: they do not count as use."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send "Origin: null" with the page's own forms
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BODY = "mesh_sync.body"
"""The key of the scope under which a page finds the body."""


class Guard:
    """Lets through to ``app`` what is allowed; ``stranger`` answers a person who has not entered yet.

    ``used`` is called for each request of the one who has.
    """

    def __init__(self, app: ASGIApp, entrance: Entrance, stranger: ASGIApp, used: Callable[[], None]) -> None:
        self._app, self._entrance, self._stranger, self._used = app, entrance, stranger, used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        send = _with_headers(send)
        headers, path = Headers(scope=scope), scope["path"]
        if problem := refusal(scope["method"], path, headers):
            await problem(scope, receive, send)
            return
        app = self._app
        if path != ENTER and not path.startswith(STATIC):
            if not self._entrance.admits(cookie(headers, self._entrance.cookie)):
                app = self._stranger
            elif not path.startswith(QUIET):
                self._used()
        try:
            async with asyncio.timeout(BODY_DEADLINE):
                scope[BODY] = await _body(headers, receive)
        except ValueError:
            await PlainTextResponse("the request is too large", 413)(scope, receive, send)
            return
        except TimeoutError:
            await PlainTextResponse("the request took too long", 408)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(DEADLINE):
                await app(scope, receive, send)
        except TimeoutError:
            await PlainTextResponse("the page took too long", 503)(scope, receive, send)


def refusal(method: str, path: str, headers: Headers) -> Response | None:
    """Why a request must not be looked at, by its method and headers; None if it may be."""
    if sum(len(name) + len(value) for name, value in headers.raw) > MOST_HEADERS:
        return PlainTextResponse("the headers are too large", 431)
    host = headers.getlist("host")
    if len(host) != 1 or _name(host[0]) not in HOSTS:
        return PlainTextResponse("this page answers to 127.0.0.1 and localhost only", 403)
    if method in ("GET", "HEAD"):
        return None
    if method != "POST":
        return PlainTextResponse("only GET and POST are taken", 405, {"Allow": "GET, HEAD, POST"})
    if path != ENTER and not _is_own(headers, host[0]):  # the file that leads in is of no origin, and brings the token
        return PlainTextResponse("this form was not sent by this page", 403)
    return None


def _is_own(headers: Headers, host: str) -> bool:
    """Whether a request was caused by a page of ours, as the browser says."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return origin == f"http://{host}"
    return site is not None


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isascii() and port.isdigit() else host).lower()


def cookie(headers: Headers, name: str) -> str | None:
    """The value of a cookie."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return found.value if found else None


async def _body(headers: Headers, receive: Receive) -> bytes:
    """The whole body. Raise ValueError when it is too large, without having read more than that."""
    if int(headers.get("content-length") or 0) > MOST:
        raise ValueError
    parts = bytearray()
    while True:
        message = await receive()
        parts += message.get("body", b"")
        if len(parts) > MOST:
            raise ValueError
        if not message.get("more_body"):
            return bytes(parts)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
