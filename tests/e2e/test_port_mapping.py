"""A node behind a home router that forwards nothing: it has WireGuard's port mapped, and is reached there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.running_watchdog import Watchdog, watching
from lab import Lab
from lab.mesh import PORT, Mesh, dump, key_of
from lab.miniupnpd import Miniupnpd
from lab.network import Site
from lab.ping import first_answer
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WAN = "192.0.3.20"
MAPPED = f"{WAN}:{PORT}"


class Home:
    """`home`, behind a router without a forward, and `b` on the internet, to which it has never said a word."""

    def __init__(self, lab: Lab) -> None:
        mesh = Mesh(lab)
        self.site: Site = lab.site("home", "192.168.10.0/24", WAN, port=None, at=lab.assigned)
        self.node = mesh.enlist("home", self.site.gateway, address="10.0.0.11", persistent_keepalive=0)
        self.b = mesh.node("b", 22, persistent_keepalive=0, endpoint=None)
        mesh.push()
        mesh.now()
        self.mesh = mesh
        self.daemon = Miniupnpd(self.site.router)

    def mapping(self, watchdog: Watchdog) -> str:
        return str(watchdog.written().get("port_mapping", {}).get("endpoint"))

    def how(self, watchdog: Watchdog) -> str:
        return str(watchdog.written().get("port_mapping", {}).get("how"))


@pytest.fixture(scope="module")
def home(lab: Lab) -> Home:
    return Home(lab)


@pytest.fixture
def daemon(home: Home) -> Iterator[Miniupnpd]:
    yield home.daemon
    home.daemon.kill()
    home.daemon.configure()


def mapped(home: Home, watchdog: Watchdog, endpoint: str = MAPPED) -> None:
    until(lambda: home.mapping(watchdog) == endpoint, 60, what=watchdog.said)


def is_reached(home: Home, endpoint: str = MAPPED) -> None:
    """The other side knows nothing but the mapped endpoint, and begins."""
    key = key_of(home.node)
    home.b.run(["wg", "set", "wg0", "peer", key, "endpoint", endpoint])
    first_answer(home.b, "10.0.0.11")
    assert dump(home.b)[key]["endpoint"] == endpoint


def test_a_router_that_speaks_pcp_forwards_the_port_until_the_watchdog_ends(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        assert home.how(watchdog) == "PCP"
        is_reached(home)
        text = home.node.run(["mesh-watchdog", "status"]).stdout
        assert f"port mapping: {MAPPED} (PCP)" in text
        assert str(PORT) in daemon.forwarded()
    assert str(PORT) not in daemon.forwarded()


def test_a_router_that_lost_its_mappings_is_asked_again(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        daemon.restart()
        until(lambda: str(PORT) in daemon.forwarded(), 60, what=watchdog.said)
        is_reached(home)
