"""nsswitch.conf and hosts are read as glibc reads them; `tests/e2e/test_names.py` holds that against `getent`."""

from __future__ import annotations

import pytest

from mesh_sync.names.hosts_file import parse_hosts
from mesh_sync.names.nsswitch import DEFAULT, Means, Service, Status, parse_nsswitch

SUCCESS, NOTFOUND, UNAVAIL, TRYAGAIN = Status


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", DEFAULT),
        ("# hosts: dns", DEFAULT),
        ("hosts:", DEFAULT),
        ("hosts: dns [oops=return] files", DEFAULT),
        ("hosts: dns [NOTFOUND=stop] files", DEFAULT),
        ("hosts: dns [NOTFOUND=return files", DEFAULT),
        ("hosts:\tdns", (Service("dns"),)),
        ("  hosts : dns files # and so on", (Service("dns"), Service("files"))),
        ("hosts: files\nhosts: dns", (Service("dns"),)),
        ("hosts6: files\npasswd: files [bad\n", DEFAULT),
        (
            "hosts: files mdns4_minimal [NOTFOUND=return] dns",
            (Service("files"), Service("mdns4_minimal", frozenset({SUCCESS, NOTFOUND})), Service("dns")),
        ),
        (
            "hosts: resolve[!unavail=Return]dns",
            (Service("resolve", frozenset({SUCCESS, NOTFOUND, TRYAGAIN})), Service("dns")),
        ),
        (
            "hosts: dns [ NOTFOUND = return TRYAGAIN=return !SUCCESS=continue ] files",
            (Service("dns", frozenset({SUCCESS})), Service("files")),
        ),
    ],
)
def test_the_services_and_after_what_they_are_the_last(line: str, expected: tuple[Service, ...]) -> None:
    assert parse_nsswitch(line) == expected


@pytest.mark.parametrize(
    ("service", "host", "means"),
    [
        ("files", "a", Means.FILE),
        ("dns", "a.local", Means.DNS),
        ("resolve", "a.example", Means.DNS),
        ("resolve", "a", Means.MODULE),
        ("resolve", "a.LOCAL.", Means.MODULE),
        ("mdns", "a.local", Means.MODULE),
        ("mdns4_minimal", "a.example", Means.NONE),
        ("mymachines", "a.example", Means.NONE),
        ("mymachines", "a", Means.MODULE),
        ("myhostname", "a.example", Means.NONE),
        ("myhostname", "me.example", Means.MODULE),
        ("myhostname", "a.localhost", Means.MODULE),
        ("libvirt", "a.example", Means.MODULE),
        ("wins", "a", Means.MODULE),
    ],
)
def test_no_process_is_started_for_a_module_that_cannot_know(service: str, host: str, means: Means) -> None:
    assert Service(service).means(host, "Me.example") is means


def test_lines_of_hosts() -> None:
    """What getent of glibc 2.36 gives for the same lines, with `multi on`."""
    text = (
        " 10.0.0.1  a.b # c\n10.0.0.2 #a.b\n10.0.0.3 a.b#q\n10.0.0.04 a.b\n10.5 a.b\nfe80::1%lo a.b\n10.0.0.6 a.b.\n"
        "10.0.0.8 a.b\r\n10.0.0.9 x\tA.B y\n;10.0.0.10 a.b\n::ffff:1.2.3.4 a.b\n10.0.0.11 xa.b\n10.0.0.1 a.b\n10.0.0.12"
    )
    expected = ["10.0.0.1", "10.0.0.3", "10.0.0.8", "10.0.0.9", "::ffff:102:304"]
    assert [str(address) for address in parse_hosts(text)["a.b"]] == expected
    assert set(parse_hosts(text)) == {"a.b", "a.b.", "x", "y", "xa.b"}
