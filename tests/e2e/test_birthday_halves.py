"""A site behind an easy NAT and one behind a hard one: the recipe itself, without the policy that asks for it."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from lab import Lab
from lab.mesh import dump
from lab.nat import EASY, HARD, Nat
from lab.ping import first_answer, reachability
from lab.waiting import until
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.port_rewriting import parse

pytestmark = pytest.mark.e2e

HALF = Path(__file__).with_name("birthday_half.py")
TABLE = ["nft", "-s", "list", "table", "inet", "mesh_punch_wg0"]
TTL = 3
"""Hops: past the NAT of a site, and that of its provider if there were one."""


class End:
    """A site at a provider of its own, whose gateway has WireGuard and one peer without an endpoint.

    ``carrier``: the NAT of this kind is the provider's, and another one, which is easy, is at home.
    """

    def __init__(self, lab: Lab, number: int, nat: Nat, *, carrier: bool) -> None:
        self.address, line = f"10.0.0.{number}", lab.provider(f"isp{number}")
        self.outside = inside = str(line.network.v4[7])
        if carrier:
            line, inside, nat = lab.carrier(f"cgn{number}", inside, nat, at=line).line, "100.64.0.7", EASY
        self.site = lab.site(f"s{number}", f"192.168.{number}.0/24", inside, nat=nat, at=line)
        self.node = self.site.gateway
        self.private = keys.generate()
        self.key = keys.public_key(self.private)

    def know(self, other: End) -> None:
        self.node.add_wireguard()
        self.node.path("/etc/wireguard/key").write_text(self.private + "\n")
        self.node.run(["wg", "set", "wg0", "listen-port", "51820", "private-key", "/etc/wireguard/key"])
        self.node.run(["wg", "set", "wg0", "peer", other.key, "allowed-ips", f"{other.address}/32"])
        self.node.ip(f"address add {self.address}/24 dev wg0", "link set wg0 up")


@pytest.mark.parametrize(
    ("accepts", "carrier"), [(False, False), (True, False), (True, True)], ids=["drop", "accept", "carriers"]
)
def test_an_easy_nat_and_a_hard_one_meet_at_one_of_many_ports(accepts: bool, carrier: bool) -> None:
    with Lab() as lab:
        kinds = [nat.accepting() if accepts else nat for nat in (EASY, HARD)]
        easy, hard = (End(lab, number, nat, carrier=carrier) for number, nat in enumerate(kinds, start=1))
        easy.know(hard)
        hard.know(easy)
        meet(easy, hard)


def meet(easy: End, hard: End) -> None:
    """Three rounds at most: one of 50 fails."""
    said = hard.node.directory / "half.log"
    for _ in range(3):
        with said.open("wb") as log:
            waits = [sys.executable, str(HALF), "hard", easy.key, f"{easy.outside}:51820", str(TTL)]
            program = hard.node.popen(waits, stdout=log.fileno())
        until(lambda: "open" in said.read_text(), 30, what=said.read_text)
        began = time.monotonic()
        sent = easy.node.run([sys.executable, HALF, "easy", hard.outside]).stdout
        assert int(sent.split()[1]) <= 1024
        if program.wait(timeout=30) == 0:
            break
    [port] = re.findall(r"hit (\d+)", said.read_text())
    first_answer(hard.node, easy.address)
    print(f"direct after {time.monotonic() - began:.2f} s; {sent}")
    first_answer(easy.node, hard.address)
    [rule] = parse(hard.node.run(TABLE).stdout)
    assert (rule.endpoint, rule.wire, rule.own) == (f"{easy.outside}:51820", int(port), 51820)
    there = dump(easy.node)[hard.key]["endpoint"].rpartition(":")
    assert there[0] == hard.outside
    assert there[2] not in ("51820", port), "the port that the NAT gave to that socket"
    easy.site.router.forget_translations()  # those of the knocks, too: one in 60 would let another port in
    first_answer(easy.node, hard.address)
    first_answer(hard.node, easy.address)
    hard.node.run(["nft", "delete", "table", "inet", "mesh_punch_wg0"])
    reached = reachability([(hard.node, easy.address)])
    assert not any(reached.values()), "without the rules the NAT gives WireGuard's port another one"
