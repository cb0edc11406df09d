"""docs/moving.md: a mesh of wg-quick files is moved, one machine after the other, and no packet is lost."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from lab import Lab, Node, reachability, steady_ping
from lab.mesh import dump
from lab.ping import first_answer
from lab.story import Story
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KEY = "/run/home/.ssh/id_ed25519.pub"
PAGE = Path(__file__).parents[2] / "docs/moving.md"
LAN = "192.168.10.0/24"
PEERS = {
    "aws": f"Endpoint = aws.example.org:51820\nAllowedIPs = 10.0.0.1/32, {LAN}\n",
    "azure": "Endpoint = azure.example.org:51820\nAllowedIPs = 10.0.0.2/32\n",
    "home": "AllowedIPs = 10.0.0.3/32\n",
}
MORE = {
    "aws": "PostUp = sysctl -qw net.ipv4.ip_forward=1; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE\n",
    "azure": "",
    "home": "",
}
SERVER = """
[Interface]
PrivateKey = {vpn}
Address = 10.8.0.1/24
ListenPort = 51820
PostUp = sysctl -qw net.ipv4.ip_forward=1

# Client: laptop (5b0e3dbc-6ad8-4a0c-9d2c-0d5ad0c9a6e1)
[Peer]
PublicKey = {laptop}
AllowedIPs = 10.8.0.2/32

# Client: phone (1a51a8c6-1d5f-4d40-8b1a-0c7d4c3f0a52)
[Peer]
PublicKey = {phone}
PresharedKey = {preshared}
AllowedIPs = 10.8.0.3/32
"""
"""As wg-easy writes it."""
CLIENT = """
[Interface]
PrivateKey = {private}
Address = 10.8.0.{number}/24

[Peer]
PublicKey = {vpn}
{preshared}
AllowedIPs = 10.8.0.0/24
Endpoint = vpn.example.org:51820
PersistentKeepalive = 25
"""
PRESHARED = keys.generate()


def wg_quick(lab: Lab, nodes: dict[str, Node]) -> None:
    """As people write them: each machine has one section for every other; the files are collected at alice's."""
    private = {name: keys.generate() for name in nodes}
    old = lab.operator.path("/run/home/old")
    old.mkdir()
    for number, (name, node) in enumerate(nodes.items(), start=1):
        text = (
            f"[Interface]\nPrivateKey = {private[name]}\nAddress = 10.0.0.{number}/24\nListenPort = 51820\n{MORE[name]}"
        )
        for other in nodes:
            if other != name:
                keepalive = "PersistentKeepalive = 25\n" if name == "home" else ""
                public = keys.public_key(private[other])
                text += (
                    f"\n[Peer] # {other}\nPublicKey = {public}\nPresharedKey = {PRESHARED}\n{PEERS[other]}{keepalive}"
                )
        for file in (node.path("/etc/wireguard/wg0.conf"), old / f"{name}.conf"):
            file.touch(mode=0o600)
            file.write_text(text)
    for node in nodes.values():
        node.run(["wg-quick", "up", "wg0"], timeout=60)


def test_each_machine_is_moved_on_its_own_without_an_outage(lab: Lab) -> None:
    assert lab.git.url in PAGE.read_text()
    site = lab.site("aws", LAN, "203.0.113.21")
    nodes = {"aws": site.gateway, "azure": lab.node("azure", "203.0.113.22"), "home": lab.node("home", "203.0.113.23")}
    aws, azure, home = nodes.values()
    for name, number in (("aws", 21), ("azure", 22)):
        lab.dns.set(f"{name}.example.org", f"203.0.113.{number}")
    wg_quick(lab, nodes)
    first_answer(azure, "10.0.0.1")
    first_answer(home, "10.0.0.1")
    first_answer(home, "10.0.0.2")
    story = Story(PAGE, {"alice": lab.operator, **nodes})

    ways = ((azure, "10.0.0.1"), (home, "192.168.10.10"), (home, "10.0.0.2"))

    def tell(heading: str) -> None:
        with contextlib.ExitStack() as stack:
            pings = [stack.enter_context(steady_ping(node, address, interval=0.05)) for node, address in ways]
            story.tell(heading)
        assert [ping.lost for ping in pings] == [0, 0, 0]
        assert min(ping.sent for ping in pings) > 0

    tell("Preshared keys")
    for node in nodes.values():
        assert {peer["psk"] for key, peer in dump(node).items() if key} == {"(none)"}
    story.tell("Make the list")
    signers = lab.operator.path("/run/home/mesh/allowed_signers").read_text()
    for node in nodes.values():
        node.path("/run/home/allowed_signers").write_text(signers)

    tell("Move one machine")
    tell("Move the others")

    server(lab, story)

    aws.reboot()
    aws.run(["mesh-sync", "up"], timeout=60)
    assert all(reachability([(home, "192.168.10.10"), (azure, "10.0.0.1")], deadline=20).values())
    story.tell("Back")
    assert all(reachability([(home, "192.168.10.10"), (azure, "10.0.0.1")], deadline=20).values())
    assert not story.untold


def server(lab: Lab, story: Story) -> None:
    """A server with two clients, of which the phone has a preshared key."""
    lab.git.repository("vpn")
    names = ("vpn", "laptop", "phone")
    vpn, laptop, phone = (lab.node(name, f"203.0.113.{number}") for number, name in enumerate(names, start=31))
    lab.dns.set("vpn.example.org", "203.0.113.31")
    private = {name: keys.generate() for name in names}
    public = {name: keys.public_key(key) for name, key in private.items()}
    text = SERVER.format(**{**public, "vpn": private["vpn"], "preshared": PRESHARED})
    alice = lab.operator.path("/run/home")
    (alice / "old-server").mkdir()
    (alice / "old-server/vpn.conf").write_text(text)
    (alice / "phone.key").touch(mode=0o600)
    (alice / "phone.key").write_text(private["phone"])
    up(vpn, text)
    for number, (node, preshared) in enumerate(((laptop, ""), (phone, f"PresharedKey = {PRESHARED}")), start=2):
        own = {"private": private[node.name], "vpn": public["vpn"]}
        up(node, CLIENT.format(**own, preshared=preshared, number=number))
        first_answer(node, "10.8.0.1")
    vpn.path("/run/home/allowed_signers").write_text(f"alice@example.org {lab.operator.path(KEY).read_text()}")
    story.hosts["vpn"] = vpn
    with steady_ping(laptop, "10.8.0.1", interval=0.05) as ping:
        story.tell("A server and its clients")
    assert ping.lost == 0
    phone.run(["wg-quick", "down", "wg0"], timeout=60)
    up(phone, (alice / "phone.conf").read_text())
    first_answer(phone, "10.8.0.1")


def up(node: Node, text: str) -> None:
    file = node.path("/etc/wireguard/wg0.conf")
    file.touch(mode=0o600)
    file.write_text(text)
    node.run(["wg-quick", "up", "wg0"], timeout=60)
