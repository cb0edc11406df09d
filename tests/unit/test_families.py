"""What is known of IPv6 on a machine comes from /proc; here from one made for each case."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_sync.diagnose.families import family_troubles
from mesh_sync.wireguard import families
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.families import NoIPv6, no_ipv6, possible

DUAL = Desired(
    mesh="m",
    name="a",
    public_key="",
    listen_port=1,
    mtu=0,
    addresses=frozenset({"10.0.0.1/32", "fd00::1/128"}),
    routes=frozenset({"10.0.0.0/24", "fd00::/64"}),
    exit_routes=frozenset({"0.0.0.0/0", "::/0"}),
    peers=(),
    sysctls=frozenset({"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"}),
)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without IPv6, and with wg0."""
    monkeypatch.setattr(families, "PROC", tmp_path)
    (tmp_path / "sys/net/ipv4/conf/wg0").mkdir(parents=True)
    (tmp_path / "net").mkdir()
    return tmp_path


def give_ipv6(proc: Path, **switched_off: int) -> None:
    """Let the kernel have IPv6, with these values of disable_ipv6."""
    (proc / "net/if_inet6").touch()
    for interface, value in switched_off.items():
        folder = proc / "sys/net/ipv6/conf" / interface
        folder.mkdir(parents=True)
        (folder / "disable_ipv6").write_text(f"{value}\n")


def test_a_kernel_may_have_none(proc: Path) -> None:
    assert no_ipv6("wg0") is NoIPv6.KERNEL
    assert no_ipv6("wg1") is NoIPv6.KERNEL


@pytest.mark.parametrize(
    ("switched_off", "interface", "expected"),
    [
        ({"default": 0, "wg0": 0}, "wg0", None),
        ({"default": 0, "wg0": 1}, "wg0", NoIPv6.SYSCTL),
        ({"default": 1, "wg0": 0}, "wg0", None),
        ({"default": 1}, "wg1", NoIPv6.SYSCTL),
        ({"default": 0}, "wg1", None),
        ({"default": 0}, "wg0", NoIPv6.MTU),
    ],
)
def test_it_may_be_switched_off(
    proc: Path, switched_off: dict[str, int], interface: str, expected: NoIPv6 | None
) -> None:
    give_ipv6(proc, **switched_off)
    assert no_ipv6(interface) is expected
    assert bool(list(family_troubles(DUAL, interface))) is (expected is not None)


def test_what_is_left_without_it_is_ipv4(proc: Path) -> None:
    left = possible(DUAL, "wg0")
    assert left.addresses == {"10.0.0.1/32"}
    assert left.routes == {"10.0.0.0/24"}
    assert left.exit_routes == {"0.0.0.0/0"}
    assert left.sysctls == {"net/ipv4/ip_forward"}
    assert list(family_troubles(left, "wg0")) == []
    assert "do not take the exit" in next(family_troubles(DUAL, "wg0")).text
    give_ipv6(proc, default=0, wg0=0)
    assert possible(DUAL, "wg0") == DUAL
