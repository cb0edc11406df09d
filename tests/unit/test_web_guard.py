"""The operator's page is attacked over its socket: by other web pages, other users, and what is in the repository."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from command import mesh_sync
from lab.waiting import until
from mesh_sync.web import listening, server
from mesh_sync.web.app import STATIC, application
from mesh_sync.web.entrance import Entrance, redirect_file
from mesh_sync.web.guard import refusal
from unit.list_keeper import Operator
from unit.web_page import AS_A_USER, Running, given_away, place, read, serving

PUBLISHED = {
    "htmx": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "d3-dispatch": "5afe071dad74c14cd580f540c9ec85b0755eed78b7f9ed3e9f63b989fc41aa4b",
    "d3-force": "ed05b52ecfe280d753ebab954e4e1f24097952480a9d277be55b6ba297bf4a9b",
    "d3-quadtree": "6bd9974b3efdf9c22942a6fb9a5a027ee39f81a6c27b09a3444c9e911796f439",
    "d3-timer": "f6b80ed73b21d01658db60d1c04adb88adc70f885346ae07d59ed69ba0348849",
}
"""SHA-256 of dist/NAME.min.js as npm has it: of htmx.org 2.0.11, d3-force 3.0.1, and 3.0.2 of the other three."""
SCRIPT = 60_000
"""Bytes of all scripts, gzipped, at most."""


GUARDING = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # no-referrer: Chromium says "Origin: null" of our own forms
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@pytest.fixture(scope="module")
def page() -> Iterator[Running]:
    with place() as folder:
        Operator(folder / "mesh")
        given_away(folder)
        with serving(folder / "mesh") as running:
            yield running.enter()


def test_it_listens_on_this_machine_only(page: Running) -> None:
    found = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    port = f"{int(page.host.rpartition(':')[2]):04X}"
    lines = [line.split() for file in ("tcp", "tcp6") for line in Path(f"/proc/net/{file}").read_text().splitlines()]
    listens = [line[1] for line in lines if line[1].endswith(f":{port}") and line[3] == "0A"]
    assert listens == [f"{found}:{port}"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "0.0.0.0:{port}", "localhost.", ""]
)
def test_a_name_that_a_stranger_leads_here_is_turned_away(page: Running, host: str) -> None:
    """DNS rebinding: the browser believes that this page is the stranger's."""
    answer = page.ask("/", headers={"Host": host.format(port=page.host.rpartition(":")[2])})
    assert answer.status == 403
    assert b"homelab" not in answer.body
    assert page.ask("/", headers={"Host": "localhost:8080"}).status == 200


def test_two_hosts_in_one_request_are_none(page: Running) -> None:
    with page.connect() as made:
        made.sendall(
            f"GET / HTTP/1.1\r\nHost: {page.host}\r\nHost: evil.example\r\nCookie: {page.cookie}\r\n\r\n".encode()
        )
        assert made.recv(100).split()[1] in (b"400", b"403")
    with page.connect() as made:
        made.sendall(f"GET / HTTP/1.0\r\nCookie: {page.cookie}\r\n\r\n".encode())
        assert made.recv(100).split()[1] == b"403", "no host is none, either"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": None},
        {"Origin": "null", "Sec-Fetch-Site": None},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-origin"},
        {"Origin": None, "Sec-Fetch-Site": None},
    ],
    ids=str,
)
def test_a_form_of_another_page_changes_nothing(page: Running, headers: dict[str, str | None]) -> None:
    assert page.ask("/language/zh", {}, headers=headers).status == 403


def test_a_form_of_this_page_is_taken(page: Running) -> None:
    for headers in ({}, {"Sec-Fetch-Site": None}, {"Origin": None}):
        assert page.ask("/language/zh", {}, headers=headers).status != 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"])
def test_other_methods_are_not_taken(page: Running, method: str) -> None:
    assert page.ask("/", method=method).status in (400, 405)
    refused = refusal(method, "/", Headers({"Host": "localhost", "Sec-Fetch-Site": "same-origin"}))
    assert refused, "whatever the routes behind it take"
    assert refused.status_code == 405


@pytest.mark.parametrize("cookie", [None, "", "x=1", "{name}=", "{name}=x", "{name}=\xe4", "{name}"])
def test_without_the_cookie_nothing_is_told(page: Running, cookie: str | None) -> None:
    name = page.cookie.partition("=")[0]
    for path in ("/", "/peer/aws", "/?q=aws", "/quiet/fleet", "/no-such-page"):
        answer = page.ask(path, headers={"Cookie": cookie.format(name=name) if cookie is not None else None})
        assert answer.status == 401, path
        assert "aws" not in answer.text


def test_the_token_lets_in_once(page: Running) -> None:
    for token in (page.token, "", "x"):
        again = page.ask("/enter", {"token": token})
        assert (again.status, again.headers["Set-Cookie"]) == (401, None)


def test_another_token_lets_nobody_in_and_spends_nothing() -> None:
    entrance = Entrance("8080")
    assert [entrance.enter(token) for token in ("", "x", f"{entrance.token}x")] == [None] * 3
    assert entrance.enter(entrance.token)


def test_no_cookie_is_good_before_the_token_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda size: "known")
    entrance = Entrance("8080")
    assert not entrance.admits("known")
    entrance.enter("known")
    assert entrance.admits("known")


def test_the_cookie_is_for_this_page_alone() -> None:
    entrances = [Entrance("8080"), Entrance("8081")]
    sessions = [entrance.enter(entrance.token) for entrance in entrances]
    assert entrances[0].cookie != entrances[1].cookie
    assert entrances[0].admits(sessions[0])
    assert not entrances[0].admits(sessions[1])
    assert not Entrance("8080").admits("")


def test_the_cookie_is_hidden_from_scripts_and_other_sites() -> None:
    with place() as folder:
        Operator(folder / "mesh")
        given_away(folder)
        with serving(folder / "mesh") as running:
            answer = running.ask("/enter", {"token": running.token})
            name, *words = answer.headers["Set-Cookie"].split("; ")
            assert name.startswith(f"mesh-sync-{running.host.rpartition(':')[2]}=")
            assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(words)
            assert running.end() == 130


def test_the_file_that_opens_the_page_is_the_operators_alone() -> None:
    entrance = Entrance("8080")
    with redirect_file(entrance, "http://127.0.0.1:8080/") as file:
        assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
        fields = [each for tag, each in read(file.read_text()).elements if tag in ("form", "input")]
        assert fields == [
            {"method": "post", "action": "http://127.0.0.1:8080/enter"},
            {"type": "hidden", "name": "token", "value": entrance.token},
        ]
    assert not file.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_file_that_opens_the_page_goes_with_it_however_it_is_ended(number: signal.Signals) -> None:
    with place() as folder:
        Operator(folder / "mesh")
        given_away(folder)
        with serving(folder / "mesh") as running:
            assert list(folder.glob("mesh-sync-web-*/open.html"))
            running.process.send_signal(number)
            assert running.process.wait(30) == 130
        assert not list(folder.glob("mesh-sync-web-*"))


def test_neither_token_nor_cookie_is_in_the_process_list(page: Running) -> None:
    line = (
        Path(f"/proc/{page.process.pid}/cmdline").read_bytes() + Path(f"/proc/{page.process.pid}/environ").read_bytes()
    )
    assert page.token.encode() not in line
    assert page.cookie.partition("=")[2].encode() not in line


@pytest.mark.parametrize("path", ["/", "/static/page.css", "/no-such-page"])
def test_every_answer_has_the_browser_on_its_guard(page: Running, path: str) -> None:
    headers = page.ask(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    none = dict.fromkeys(("default-src", "base-uri", "frame-ancestors"), "'none'")
    own = dict.fromkeys(("script-src", "style-src", "connect-src", "form-action"), "'self'")
    assert policy == {**none, **own, "img-src": "'self' data:"}
    assert {name: headers[name] for name in GUARDING} == GUARDING
    assert headers["Server"] is None


def test_a_page_needs_nothing_that_the_policy_forbids(page: Running) -> None:
    for tag, found in read(page.ask("/").text).elements:
        assert not [name for name in found if name.startswith("on") or name == "style"], tag
        assert tag != "style"
        if tag == "script":
            assert (found["src"] or "").startswith("/static/")


def test_a_body_is_bounded(page: Running) -> None:
    assert page.ask("/language/zh", body=b"a=" + b"x" * 1024 * 1024).status == 413
    said_less = page.ask("/enter", body=b"a", headers={"Content-Length": str(10**12)})
    assert said_less.status == 413
    with page.connect() as made:
        made.sendall(f"POST /enter HTTP/1.1\r\nHost: {page.host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(17):
            made.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert b" 413 " in made.recv(100)
    assert page.ask("/", headers={"X": "x" * 20_000}).status == 431
    assert page.ask("/").status == 200


def test_so_many_connections_are_taken_and_no_more(page: Running) -> None:
    with ExitStack() as stack:
        for _ in range(server.MOST_CONNECTIONS):
            stack.enter_context(page.connect())
        until(lambda: page.ask("/static/icon.svg").status == 503, 30)
    until(lambda: page.ask("/static/icon.svg").status == 200, 30)


def test_who_sends_nothing_whole_does_not_stay(page: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with page.connect() as idle, page.connect() as slow:
        slow.sendall(f"POST /enter HTTP/1.1\r\nHost: {page.host}\r\nContent-Length: 5\r\n\r\nab".encode())
        idle.sendall(b"GET / HT")
        assert b" 408 " in slow.recv(100)
        assert idle.recv(100) == b""


def test_a_form_of_many_fields_is_none(page: Running) -> None:
    assert page.ask("/enter", body=b"&".join(b"a%d=1" % number for number in range(300))).status == 404
    assert page.ask("/enter", body=b"token=\xff\xfe").status == 404


def test_what_is_served_lies_in_the_static_folder(page: Running) -> None:
    for path in ("/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd"):
        answer = page.ask(path)
        assert answer.status == 404, path


@pytest.mark.parametrize("to", ["//evil.example", "http://evil.example", "/\\evil.example", "evil"])
def test_no_address_of_ours_leads_elsewhere(page: Running, to: str) -> None:
    assert page.ask(f"/language/zh?to={to}").headers["Location"] == "/"


def test_scripts_are_those_that_were_published_with_their_licenses_and_one_of_our_own() -> None:
    files = {file.name: file.read_bytes() for file in STATIC.glob("*.js")}
    assert {name: hashlib.sha256(text).hexdigest() for name, text in files.items() if name != "drag.js"} == {
        f"{name}.min.js": digest for name, digest in PUBLISHED.items()
    }
    assert sum(len(gzip.compress(text)) for text in files.values()) <= SCRIPT
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE").read_text()
    assert "Mike Bostock" in (STATIC / "d3.LICENSE").read_text()


def test_root_is_refused() -> None:
    with place() as folder:
        Operator(folder / "mesh")
        if os.geteuid() == 0:
            ended = mesh_sync("web", "-C", folder / "mesh")
            assert (ended.code, ended.out) == (2, "")
            assert "does not run as root" in ended.err


def test_a_unix_socket_is_its_owners_alone_and_goes_with_the_page() -> None:
    with place() as folder:
        Operator(folder / "mesh")
        given_away(folder)
        path = folder / "page"
        with serving(folder / "mesh", "--socket", str(path)) as running:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert running.enter().ask("/").status == 200
            running.process.kill()
        assert path.exists()
        with serving(folder / "mesh", "--socket", str(path)) as running:
            assert running.end() == 130
        assert not path.exists()
        path.write_text("precious")
        with pytest.raises(AssertionError, match="another file"), serving(folder / "mesh", "--socket", str(path)):
            pass
        assert path.read_text() == "precious"


def test_it_ends_by_itself_when_it_is_not_used(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "mesh")
    told: list[str] = []

    def run() -> None:
        server.serve(
            listening.on_loopback(), lambda entrance, used: application(operator.place, entrance, used),
            lambda *words: told.extend(words), idle=3.0,
        )  # fmt: skip

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: told)
    url, token, file = told
    running = Running(subprocess.Popen(["true"], text=True), url, token).enter()
    used = time.monotonic()
    while time.monotonic() < used + 4:
        assert running.ask("/").status == 200
        time.sleep(0.5)

    def has_ended() -> bool:
        with suppress(OSError, HTTPException):  # what a page asks for by itself is no use
            running.ask("/quiet/mesh")
        return not thread.is_alive()

    until(has_ended, 60)
    assert not Path(file).exists()
    running.process.wait()


def test_without_the_optional_part_a_sentence_says_what_to_install() -> None:
    with place() as folder:
        Operator(folder / "mesh")
        given_away(folder)
        block = "import sys; sys.modules['starlette'] = None; from mesh_sync.__main__ import main; main()"
        words = [*AS_A_USER, sys.executable, "-c", block, "web", "-C", str(folder / "mesh")]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout) == (2, "")
        assert "optional part" in done.stderr
        assert "mesh-sync[web]" in done.stderr
