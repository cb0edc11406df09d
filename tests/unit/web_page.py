"""`mesh-sync web` as a process on a real socket, and what talks to it: a browser that has entered, or anyone."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

from attrs import define, field, frozen

from lab.waiting import until
from unit.git_identity import VARIABLES

AS_A_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
"""The page does not run as root."""
IN_PLACE = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"] if os.geteuid() == 0 else []
"""The same, as one whose files are the test's own; so that programs which it starts may read what root may."""
FORM = "application/x-www-form-urlencoded"


@frozen
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def shown(self) -> str:
        """What a person reads of it, with spaces between words only."""
        return " ".join(" ".join(read(self.text).texts).split())


@define
class Reader(HTMLParser):
    """The elements and texts of a page, as a browser takes it apart."""

    texts: list[str] = field(factory=list)
    elements: list[tuple[str, dict[str, str | None]]] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


@define
class Running:
    """A page that is being served."""

    process: subprocess.Popen[str]
    url: str
    token: str
    cookie: str = ""
    unix: str = ""

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").rstrip("/") or "localhost"

    def ask(
        self, path: str, form: Mapping[str, object] | None = None, *, headers: Mapping[str, str | None] | None = None,
        method: str = "", body: bytes | None = None,
    ) -> Answer:  # fmt: skip
        """Ask as a browser does from a page of ours; ``headers`` replace what it says, None takes one out."""
        method = method or ("GET" if form is None and body is None else "POST")
        said: dict[str, str | None] = {
            "Host": self.host,
            "Sec-Fetch-Site": "same-origin",
            "Cookie": self.cookie or None,
        }
        if method != "GET":
            said |= {"Origin": f"http://{self.host}", "Content-Type": FORM}
        said |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", timeout=60)
        connection.sock = self.connect()
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            content = urlencode(form, doseq=True).encode() if form is not None else body
            for name, value in said.items():
                if value is not None:
                    connection.putheader(name, value)
            if content is not None and "Content-Length" not in said:
                connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        if self.unix:
            made = socket.socket(socket.AF_UNIX)
            made.settimeout(60)
            made.connect(self.unix)
            return made
        return socket.create_connection(("127.0.0.1", int(self.host.rpartition(":")[2])), timeout=60)

    def enter(self) -> Running:
        """Come in with the token, as the file that opens the page does: from no origin."""
        answer = self.ask("/enter", {"token": self.token}, headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"})
        assert answer.status == 200, answer.text
        self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return self

    def follow(self, answer: Answer) -> Answer:
        """Go where an answer leads."""
        assert answer.status == 303, answer.shown
        return self.ask(answer.headers["Location"])

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def serving(
    directory: Path, *words: str, env: Mapping[str, str] | None = None, who: Sequence[str] = AS_A_USER
) -> Iterator[Running]:
    """The page of a working copy, served by an ordinary user."""
    program = [sys.executable, "-c", "from mesh_sync.__main__ import main; main()", "web", "-C", str(directory)]
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(directory.parent), **VARIABLES}
    own["TMPDIR"] = own["HOME"]  # what is killed removes nothing
    with subprocess.Popen(
        [*who, *program, "--no-browser", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **own, **(env or {})}, stdin=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            first, second = process.stdout.readline(), process.stdout.readline()
            if not second:
                raise AssertionError(process.communicate(timeout=30)[1])
            url = re.findall(r"http://\S+/", first)
            unix = "" if url else first.removeprefix("the page is at ").partition(";")[0]
            running = Running(process, "".join(url), second.split()[-1], unix=unix)
            until(lambda: running.ask("/static/icon.svg").status == 200, 30)
            yield running
        finally:
            process.kill()


@contextmanager
def place() -> Iterator[Path]:
    """A folder whose files `given_away` can give to the person who runs the page."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-sync-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def given_away(folder: Path) -> None:
    """Make a folder that of the person who runs the page."""
    if AS_A_USER:
        subprocess.run(["chown", "--recursive", "65534:65534", str(folder)], check=True)
