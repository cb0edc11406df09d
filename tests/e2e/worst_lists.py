"""Two lists that are hard to show: one with all that a file can hold, and one of 60 peers, some of them wrong."""

from __future__ import annotations

from functools import partial

from e2e.operators_desk import HOME, Desk
from lab.node import Node
from unit.list_keeper import key

LONG = "a-very-long-name-of-a-peer-that-goes-on-and-on-and-on-and-on-xy"
"""63 characters, the most that a name has."""
WORD = "W" * 120
ALICE = "alice@example.org"
MESH = 'format = 1\nname = "{name}"\nnetworks = ["10.0.0.0/16", "fd00:10::/64"]\n'
CROWD = 60
SMALL = {
    LONG: f"""addresses = ["10.0.0.1", "fd00:10::1"]
endpoint = ["203.0.113.1:51820", "[2001:db8::1]:51820", "one.of.many.names.of.this.gateway.example.org:51820",
            "[2001:db8:1234:5678:9abc:def0:1234:5678]:51820", "gateway.example.net:443"]
subnets = ["192.168.10.0/24", "192.168.20.0/24", "2001:db8:1234:5678::/64"]
description = "<script>alert(1)</script> {WORD}"
owner = "someone-with-a-long-address@a-department.example.org"
tags = ["cloud", "a-tag-that-is-long-too", "site", "gateway", "north"]
relay = true
expires = 2030-12-31
""",
    "azure": 'addresses = ["10.0.0.2", "fd00:10::2"]\nendpoint = "azure.example.org:51820"\ntags = ["cloud"]\n',
    "office": 'addresses = ["10.0.0.3"]\nendpoint = "203.0.113.3:51820"\nsubnets = ["192.168.30.0/24"]\nrelay = true\n',
    "behind-nat": 'addresses = ["10.0.0.4"]\ntags = ["home"]\n',
    "cabin": 'addresses = ["10.0.0.5"]\ntags = ["home"]\n',
    "phone": f'addresses = ["10.0.0.6", "fd00:10::6"]\nmanaged = false\nvia = "{LONG}"\ndns = ["10.0.0.1"]\n',
    "old": 'addresses = ["10.0.0.7"]\nendpoint = "203.0.113.7:51820"\nenabled = false\n',
    "guest": 'addresses = ["10.0.0.8"]\nendpoint = "203.0.113.8:51820"\nexpires = 2020-01-01\n',
}
WRONG = {
    "mistaken": 'addresses = ["10.0.0.300"]\nendpoint = 3\nsurprise = "a key that there is not"\n',
    "torn": f'addresses = ["10.9.9.9\n{WORD}\n',
}


def small(node: Node) -> Desk:
    """A mesh that can be pushed, with a git host beside it."""
    desk = _kept(node, "small", "<b>Acme</b> & Söhne, a name that is not short at all", SMALL)
    host = f"{HOME}/host.git"
    node.run(["git", "init", "-q", "--bare", "-b", "main", host])
    desk.own()
    desk.git("remote", "add", "origin", host)
    desk.git("push", "-q", "--set-upstream", "origin", "main")
    return desk


def crowd(node: Node) -> Desk:
    """60 peers whose list `check` refuses: two of their files have errors."""
    peers = {
        f"node{number}": f'addresses = ["10.0.1.{number + 1}"]\nendpoint = "node{number}.example.org:51820"\n'
        f'subnets = ["192.168.{number}.0/24"]\ntags = ["site{number % 5}"]\n'
        for number in range(CROWD - len(WRONG))
    }
    return _kept(node, "crowd", "crowd", peers | WRONG)


def _kept(node: Node, name: str, called: str, peers: dict[str, str]) -> Desk:
    desk = Desk(node, f"{HOME}/{name}")
    run = partial(node.run, env={**desk.env, "GIT_CONFIG_NOSYSTEM": "1"})
    run(["mkdir", "-p", f"{desk.place}/peers"])
    files = {"mesh.toml": MESH.format(name=called)}
    files |= {f"peers/{peer}.toml": f'public_key = "{key()}"\n{text}' for peer, text in peers.items()}
    signing = f"{HOME}/{name}.key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", ALICE, "-f", signing])
    public = node.path(f"{signing}.pub").read_text().split()
    files["allowed_signers"] = f"{ALICE} {public[0]} {public[1]}\n"
    for path, text in files.items():
        node.path(f"{desk.place}/{path}").write_text(text)
    settings = {"gpg.format": "ssh", "user.signingKey": signing, "commit.gpgSign": "true"}
    words = [["config", setting, value] for setting, value in settings.items()]
    for each in (["init", "-q", "-b", "main"], *words, ["add", "--all"], ["commit", "-q", "-m", f"begin: {WORD}"]):
        run(["git", "-C", desk.place, *each])
    desk.own()
    return desk
