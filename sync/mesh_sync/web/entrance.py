"""Who may use the page: whoever brings the one-time token, and from then on the browser with the cookie.

The token reaches the browser through a file that only its owner can read, never through a command line, which every
user of the machine sees in `ps`, nor through an address, which browsers keep.
"""

from __future__ import annotations

import hmac
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

from mesh_sync.system.files import write_atomically

ENTER = "/enter"
_FILE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>mesh-sync</title></head>
<body>
<form method="post" action="{action}">
<input type="hidden" name="token" value="{token}">
<button>mesh-sync</button>
</form>
<script>document.forms[0].submit()</script>
</body></html>
"""
_BITS = 32
"""Bytes of a token and of a cookie."""


class Entrance:
    """One token, good once, and the one session that it opens. ``label`` is part of the cookie's name.

    Cookies are kept apart by host and not by port (RFC 6265, 8.5): two pages on one machine must not share a name.
    """

    def __init__(self, label: str) -> None:
        self.cookie = f"mesh-sync-{label}"
        self.token = secrets.token_urlsafe(_BITS)
        self._session = secrets.token_urlsafe(_BITS)
        self._is_used = False

    def enter(self, token: str) -> str | None:
        """The cookie's value for whoever brings the token first; None for all others."""
        if self._is_used or not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self._is_used = True
        return self._session

    def admits(self, cookie: str | None) -> bool:
        """Whether this is the session's cookie. Before the token is used, no cookie is."""
        return self._is_used and cookie is not None and hmac.compare_digest(cookie.encode(), self._session.encode())


@contextmanager
def redirect_file(entrance: Entrance, url: str) -> Iterator[Path]:
    """A file, 0600 in a folder of its own, that takes a browser to ``url`` with the token; it is removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-sync-web-"))
    try:
        file = folder / "open.html"
        action = escape(url.rstrip("/") + ENTER)
        write_atomically(file, _FILE.format(action=action, token=escape(entrance.token)), durable=False)
        yield file
    finally:
        shutil.rmtree(folder, ignore_errors=True)
