"""A node behind a home router that forwards nothing: it has WireGuard's port mapped, and is reached there."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from e2e.running_watchdog import Watchdog, watching
from lab import Lab
from lab.mesh import PORT, Mesh, dump, key_of
from lab.miniupnpd import Miniupnpd
from lab.network import Site
from lab.ping import first_answer
from lab.waiting import LONG, until

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
    home.site.router.forget_translations()  # a flow to where the node no longer is takes the next test's packets


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


def test_a_router_of_the_older_protocol_forwards_it_as_well(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    drop = "table inet older { chain input { type filter hook input priority 0; udp dport 5351 @th,64,8 2 drop; }; }"
    home.site.router.nft(drop)  # PCP is version 2
    try:
        with watching(home.node) as watchdog:
            mapped(home, watchdog)
            assert home.how(watchdog) == "NAT-PMP"
            is_reached(home)
        assert str(PORT) not in daemon.forwarded()
    finally:
        home.site.router.run(["nft", "delete", "table", "inet", "older"])


def test_one_that_speaks_upnp_only_is_asked_through_upnpc(home: Home, daemon: Miniupnpd) -> None:
    daemon.configure(enable_natpmp="no")
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        assert home.how(watchdog) == "UPnP"
        is_reached(home)
    assert str(PORT) not in daemon.forwarded()


def test_a_router_that_lost_its_mappings_is_asked_again(home: Home, daemon: Miniupnpd) -> None:
    """It tells its hosts so; the next renewal would come after ten minutes."""
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        daemon.restart()
        until(lambda: str(PORT) in daemon.forwarded(), 60, what=watchdog.said)
        is_reached(home)


def test_a_router_with_another_address_says_so(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        home.site.router.renumber("192.0.3.21")
        try:
            mapped(home, watchdog, f"192.0.3.21:{PORT}")
            is_reached(home, f"192.0.3.21:{PORT}")
        finally:
            home.site.router.renumber(WAN)
            mapped(home, watchdog)


def test_a_mapping_that_lasts_for_seconds_is_renewed_and_ends_with_a_node_that_dies(
    home: Home, daemon: Miniupnpd
) -> None:
    daemon.configure(min_lifetime="8", max_lifetime="10")
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        end = time.monotonic() + 25
        while time.monotonic() < end:
            assert str(PORT) in daemon.forwarded(), watchdog.said()
            time.sleep(1)
        watchdog.end(signal.SIGKILL)
        until(lambda: str(PORT) not in daemon.forwarded(), 90)


def test_after_a_crash_the_router_takes_it_for_the_same_node(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        watchdog.end(signal.SIGKILL)
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        assert home.how(watchdog) == "PCP"
    assert str(PORT) not in daemon.forwarded()


def test_when_the_node_moves_in_its_network_the_port_follows(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        home.node.renumber("192.168.10.7")
        try:
            until(lambda: f"192.168.10.7:{PORT}" in daemon.forwarded(), 60, what=watchdog.said)
            until(lambda: home.mapping(watchdog) not in ("None", MAPPED), 60, what=watchdog.said)
            is_reached(home, home.mapping(watchdog))
        finally:
            home.node.renumber("192.168.10.2")
            until(lambda: f"192.168.10.2:{PORT}" in daemon.forwarded(), 60, what=watchdog.said)


def test_two_nodes_of_one_network_have_a_port_each(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    second = home.mesh.enlist("second", home.mesh.lab.beside(home.site, "second", 20), address="10.0.0.12")
    home.mesh.push()
    home.mesh.now()
    with watching(home.node) as watchdog, watching(second) as other:
        mapped(home, watchdog)
        until(lambda: home.mapping(other).startswith(f"{WAN}:"), 60, what=other.said)
        assert home.mapping(other) != MAPPED
        key = key_of(second)
        home.b.run(["wg", "set", "wg0", "peer", key, "endpoint", home.mapping(other)])
        first_answer(home.b, "10.0.0.12")
        is_reached(home)


def test_switched_off_it_is_given_back_at_once(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    with watching(home.node) as watchdog:
        mapped(home, watchdog)
        home.mesh.configure(home.node, nat={"port_mapping": False})
        try:
            watchdog.program.send_signal(signal.SIGHUP)
            until(lambda: str(PORT) not in daemon.forwarded(), 30, what=watchdog.said)
            until(lambda: home.mapping(watchdog) == "None", 30, what=watchdog.said)
        finally:
            home.mesh.configure(home.node, nat=None)


def test_the_one_capability_of_the_unit_is_enough(home: Home, daemon: Miniupnpd) -> None:
    daemon.start()
    bounded = ["setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all", "--no-new-privs", "--"]
    program = home.node.popen([*bounded, "mesh-watchdog", "run"])
    until(lambda: str(PORT) in daemon.forwarded(), 60)
    program.terminate()
    said, _ = program.communicate(timeout=LONG)
    assert str(PORT) not in daemon.forwarded(), said


def test_behind_a_carriers_nat_nothing_is_mapped_and_the_node_says_why(lab: Lab, home: Home) -> None:
    carrier = lab.carrier("carrier", "192.0.3.40", at=lab.assigned)
    site = lab.site("flat", "192.168.20.0/24", "100.64.0.10", port=None, at=carrier.line)
    node = home.mesh.enlist("flat", site.gateway, address="10.0.0.13")
    home.mesh.push()
    home.mesh.now("flat", "b")
    daemon = Miniupnpd(site.router)
    daemon.start()
    with watching(node) as watchdog:
        until(lambda: home.how(watchdog) != "None", 60, what=watchdog.said)
        assert home.mapping(watchdog) == "None"
        assert str(PORT) not in daemon.forwarded()
        assert "no port is mapped" in watchdog.said()
        assert watchdog.written()["problems"] == [], "most routers are like that"


def test_a_public_node_asks_no_router(home: Home) -> None:
    with watching(home.b) as watchdog:
        until(lambda: watchdog.written().get("interface_up"), 30, what=watchdog.said)
        time.sleep(3)
        assert watchdog.written()["port_mapping"] == {"endpoint": None, "how": None}
        assert "mapped" not in watchdog.said()
