"""Which way a packet takes is what the kernel says (iproute2 6.1, as captured on a node with an exit)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mesh_sync.errors import DeviceError
from mesh_sync.wireguard.ways import Way, ask, lines, parse

DATA = Path(__file__).parent / "data"
ASKED, OUT, ERR = ((DATA / f"ip-route-get.{kind}").read_text() for kind in ("asked", "out", "err"))
QUESTIONS = [
    (f"{found[1]}%{found[2]}" if found[2] else found[1], int(found[3] or 0))
    for found in re.finditer(r"(?m)^route get ([0-9a-f.:]+)(?: oif (\w+))?(?: mark (\d+))?$", ASKED)
]
FOUND = parse(QUESTIONS, OUT, ERR)
HOME, HOME6 = "192.168.7.2", "2001:db8:7::2"


def test_the_questions_are_the_ones_that_were_captured() -> None:
    assert "\n".join(lines(QUESTIONS)) + "\n" == ASKED


@pytest.mark.parametrize(
    ("address", "way"),
    [
        ("192.168.7.9", Way("eth0", "", HOME, 24)),
        ("198.51.100.1", Way("eth0", "192.168.7.1", HOME, 24, mtu=1400)),
        ("8.8.8.8", Way("wg0", "", "10.10.0.1", 0, "51820")),
        ("10.3.1.1", Way("wg0", "", "10.10.0.1", 16)),
        (HOME, Way("lo", "", HOME, 32, "local", local=True)),
        ("192.0.2.1", Way("eth0", "192.168.7.1", HOME, 24)),
        ("100.64.9.9", Way("eth0", "192.168.7.1", HOME, 0, "77")),
        ("203.0.113.4", Way("wg0", "", "10.10.0.1", 0, "51820")),
        ("2001:db8::9", Way("eth0", "fe80::1", HOME6, 3, mtu=1380)),
        ("2001:db8:7::9", Way("eth0", "", HOME6, 64)),
        (HOME6, Way("lo", "", HOME6, 128, "local", local=True)),
        ("fe80::7%eth0", Way("eth0", "", HOME6, 64)),
    ],
    ids=[
        "on link, and less specific into the tunnel as well", "route with an MTU", "by the exit", "a peer's subnet",
        "own", "two gateways", "a rule", "throw", "2000::/3", "on link 6", "own 6", "scope",
    ],
)  # fmt: skip
def test_a_way_is_what_the_kernel_says(address: str, way: Way) -> None:
    assert FOUND[address, 0] == way


def test_the_mark_takes_another_way() -> None:
    assert FOUND["8.8.8.8", 51820] == Way("eth0", "192.168.7.1", HOME, 0)
    assert FOUND["2001:db8::9", 51820] == Way("eth0", "fe80::1", HOME6, 3, mtu=1380)


@pytest.mark.parametrize(
    "question",
    [
        ("203.0.113.1", 0), ("203.0.113.2", 0), ("203.0.113.3", 0), ("203.0.113.4", 51820), ("192.168.7.255", 0),
        ("2001:db8:bad::1", 0), ("64:ff9b::1", 0),
    ],
    ids=["prohibit", "blackhole", "unreachable", "throw", "broadcast", "prohibit 6", "no route"],
)  # fmt: skip
def test_there_is_no_way(question: tuple[str, int]) -> None:
    assert question in QUESTIONS
    assert question not in FOUND


def test_a_gateway_of_the_other_ip_version() -> None:
    out = '[{"dst":"8.8.8.8","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0","prefsrc":"192.0.2.1"}]\n'
    assert parse([("8.8.8.8", 0)], out + '[{"dst":"default","dev":"eth0"}]', "") == {
        ("8.8.8.8", 0): Way("eth0", "fe80::1", "192.0.2.1")
    }


@pytest.mark.parametrize("out", ["", OUT[:-20], OUT + OUT, "[]\n" * 30, "Usage: ip", OUT.replace('"dev"', '"d"')])
def test_other_answers_are_an_error(out: str) -> None:
    with pytest.raises(DeviceError):
        parse(QUESTIONS, out, ERR)


def test_this_machine_is_asked_by_one_ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ip").write_text(
        f'#!/bin/sh\necho >>{tmp_path}/runs\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec ip "$@"\n'
    )
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = ask(["127.0.0.1", "127.0.0.2", "127.0.0.1"], 51820)
    assert found.plain.keys() == found.marked.keys() == {"127.0.0.1", "127.0.0.2"}
    assert found.plain["127.0.0.1"].local
    assert found.plain["127.0.0.1"].mtu >= 1500
    assert (tmp_path / "runs").read_text() == "\n"


def test_no_route_at_all_is_no_failure() -> None:
    assert ask(["192.0.2.1", "2001:db8::1"]).plain.keys() <= {"192.0.2.1", "2001:db8::1"}


@pytest.mark.parametrize(
    "script",
    ["echo 'ip: unrecognized option: json' >&2; exit 1", "exit 3", "echo '[]'"],
    ids=["busybox", "fails", "says nothing"],
)
def test_an_ip_that_cannot_tell_is_an_error(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ip").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(DeviceError):
        ask(["192.0.2.1"])
