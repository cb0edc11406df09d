"""Names are looked up as the system does it: `getent ahosts` is the judge, with the same files on the same machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import DEAD_RESOLVER, Lab
from lab.mesh import Mesh, dump
from lab.node import RESOLV_CONF

pytestmark = pytest.mark.e2e

FILES_DNS = "hosts: files dns\n"
HOSTS = "127.0.0.1 localhost\n10.1.0.1 both.example Own\n10.1.0.2 BOTH.example\nfd00::1 both.example\n10.1.0.9 own.\n"
NAMES = {
    "both.example": ("203.0.113.61", "2001:db8::61"),
    "four.example": ("203.0.113.62", "203.0.113.63"),
    "six.example": ("2001:db8::64",),
    "short": ("203.0.113.65",),
    "short.corp.example": ("203.0.113.66",),
    "deep.er.corp.example": ("203.0.113.67",),
    "host.example.net.example": ("203.0.113.68",),
    "thing.local": ("203.0.113.69",),
}
CASES = {
    "hosts, several lines, both versions": (HOSTS, FILES_DNS, "{dns}", "both.example"),
    "hosts, another case": (HOSTS, FILES_DNS, "{dns}", "Both.Example"),
    "hosts, a short name": (HOSTS, FILES_DNS, "{dns}", "own"),
    "hosts, with a dot at the end it is another name": (HOSTS, FILES_DNS, "{dns}", "own."),
    "hosts is not asked": (HOSTS, "hosts: dns\n", "{dns}", "both.example"),
    "hosts comes last": (HOSTS, "hosts: dns files\n", "{dns}", "both.example"),
    "hosts when DNS does not know": ("10.1.0.3 no.example\n", "hosts: dns files\n", "{dns}", "no.example"),
    "not after a denial": ("10.1.0.3 no.example\n", "hosts: dns [NOTFOUND=return] files\n", "{dns}", "no.example"),
    "not after anything": ("10.1.0.3 no.example\n", "hosts: dns [!UNAVAIL=return] files\n", "{dns}", "no.example"),
    "a module that is not there": (HOSTS, "hosts: nosuch [!UNAVAIL=return] files\n", "{dns}", "both.example"),
    "a module that is not there ends it": (HOSTS, "hosts: nosuch [UNAVAIL=return] files\n", "{dns}", "both.example"),
    "a module of others": (HOSTS, "hosts: hesiod dns\n", "{dns}", "four.example"),
    "a module for .local": ("", "hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "{dns}", "both.example"),
    ".local by DNS": ("", FILES_DNS, "{dns}", "thing.local"),
    "the last line counts": (HOSTS, "hosts: files\nhosts: dns\n", "{dns}", "both.example"),
    "no nsswitch.conf": (HOSTS, "", "{dns}", "both.example"),
    "a host in hosts that is none": ("10.1.0.04 no.example\nnone no.example\n", FILES_DNS, "{dns}", "no.example"),
    "IPv4 alone": ("", FILES_DNS, "{dns}", "four.example"),
    "IPv6 alone": ("", FILES_DNS, "{dns}", "six.example"),
    "no such name": ("", FILES_DNS, "{dns}", "no.example"),
    "a name of one label": ("", FILES_DNS, "{dns}", "short"),
    "a name of one label, searched": ("", FILES_DNS, "{dns}search corp.example\n", "short"),
    "searched in the second": ("", FILES_DNS, "{dns}search a.example corp.example\n", "short"),
    "the domain": ("", FILES_DNS, "{dns}domain corp.example\n", "short"),
    "the last of search and domain": ("", FILES_DNS, "{dns}search corp.example\ndomain a.example\n", "short"),
    "a dot at the end": ("", FILES_DNS, "{dns}search corp.example\n", "short."),
    "dots and a search list": ("", FILES_DNS, "{dns}search corp.example\n", "deep.er"),
    "as it is before the search list": ("", FILES_DNS, "{dns}search corp.example\n", "both.example"),
    "ndots": ("", FILES_DNS, "{dns}search net.example\noptions ndots:2\n", "host.example"),
    "ndots, and then as it is": ("", FILES_DNS, "{dns}search net.example\noptions ndots:2\n", "both.example"),
    "no single labels": ("", FILES_DNS, "{dns}search a.example\noptions no-tld-query\n", "short"),
    "a list of addresses": ("", FILES_DNS, "nameserver 192.0.2.1, 192.0.2.2\n{dns}", "both.example"),
    "a name, a port, brackets": (
        "", FILES_DNS, "nameserver dns.example\nnameserver 192.0.2.1:53\nnameserver [::1]\n{dns}", "both.example",
    ),
    "comments, blanks, upper case": (
        "", FILES_DNS, "# a\n;b\n nameserver 192.0.2.1\nNAMESERVER 192.0.2.1\n{dns}", "both.example",
    ),
    "octal": ("", FILES_DNS, "nameserver 203.000.0161.065\n", "both.example"),
    "a resolver with a scope": ("", FILES_DNS, "nameserver {linklocal}%eth0\n", "both.example"),
    "IPv6": ("", FILES_DNS, "nameserver {dns6}\n", "both.example"),
    "by TCP": ("", FILES_DNS, "{dns}options use-vc\n", "both.example"),
    "EDNS": ("", FILES_DNS, "{dns}options edns0 trust-ad\n", "both.example"),
    "IPv6 is not asked for": ("", FILES_DNS, "{dns}options no-aaaa\n", "both.example"),
    "one after the other": ("", FILES_DNS, "{dns}options single-request\n", "both.example"),
    "in turn": ("", FILES_DNS, "{dns}{dns}options rotate\n", "both.example"),
    "the first is dead": (
        "", FILES_DNS, f"nameserver {DEAD_RESOLVER}\n{{dns}}options timeout:1 attempts:1\n", "both.example",
    ),
    "the fourth is not asked": (
        "", FILES_DNS, f"nameserver {DEAD_RESOLVER}\n" * 3 + "{dns}options timeout:1 attempts:1\n", "both.example",
    ),
    "nobody listens": (HOSTS, "hosts: dns [TRYAGAIN=continue] files\n", "nameserver 127.0.0.9\n", "both.example"),
    "no nameserver": (HOSTS, "hosts: dns files\n", "# none\n", "both.example"),
    "a number": ("", FILES_DNS, "{dns}", "127.1"),
}  # fmt: skip


@pytest.fixture(scope="module")
def said() -> Iterator[dict[str, list[list[str]]]]:
    """For each case, what the system says and what we say."""
    with Lab() as lab:
        a = lab.node("a", "203.0.113.5", "2001:db8::5")
        for name, addresses in NAMES.items():
            lab.dns.set(name, *addresses)
        link = json.loads(lab.dns._host.run(["ip", "-json", "-6", "address", "show", "scope", "link"]).stdout)
        places = {
            "{dns}": f"nameserver {lab.dns.address}\n",
            "{dns6}": lab.dns.address6,
            "{linklocal}": next(at["local"] for one in link for at in one["addr_info"] if "local" in at),
        }
        cases = []
        for *texts, name in CASES.values():
            for place, value in places.items():
                texts = [text.replace(place, value) for text in texts]
            cases.append([*texts, name])
        program = Path(__file__).with_name("names_of_system_and_ours.py")
        shown = a.run(["unshare", "--mount", sys.executable, program], input=json.dumps(cases), timeout=100).stdout
        yield dict(zip(CASES, json.loads(shown), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_we_say_what_the_system_says(said: dict[str, list[list[str]]], case: str) -> None:
    system, ours = said[case]
    assert ours == system


def test_a_line_that_is_wrong_does_not_keep_a_node_from_its_peer(lab: Lab) -> None:
    mesh = Mesh(lab)
    for number, name in enumerate("ab", start=21):
        mesh.node(name, number)
    mesh.push("two peers")
    wrong = "nameserver 192.0.2.1, 192.0.2.2\nnameserver dns.example\n"
    mesh.nodes["a"].path(RESOLV_CONF).write_text(f"{wrong}nameserver {lab.dns.address}\n")
    mesh.now("a")
    (peer,) = (peer for key, peer in dump(mesh.nodes["a"]).items() if key)
    assert peer["endpoint"] == "203.0.113.22:51820"


def test_the_judge_has_something_to_say(said: dict[str, list[list[str]]]) -> None:
    assert sum(bool(system) for system, _ in said.values()) > len(said) / 2
