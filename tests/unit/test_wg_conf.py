"""Files for wg-quick as people write them: what a comment tells of a peer, and lists in any form."""

from __future__ import annotations

import time

import pytest

from mesh_sync.workspace.import_ import wg_conf


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("# aws\n[Peer]\n", "aws"),
        ("[Peer]\n# Name: aws\n", "aws"),
        ("[Peer]\n# Name = aws\n", "aws"),
        ("# friendly_name = aws\n[Peer]\n", "aws"),
        ("### Client aws\n[Peer]\n", "aws"),
        ("# END_PEER old\n# BEGIN_PEER aws\n[Peer]\n", "aws"),
        ("# aws / a@example.org / Updated: 2024-01-01 / Created: 2024-01-01\n[Peer]\n", "aws"),
        ("### begin aws ###\n[Peer]\n", "aws"),
        ("### begin old ###\n### end old ###\n### begin aws ###\n[Peer]\n", "aws"),
        ("# Client: aws (5b1f4c0e-6b0c-4d5e-9f64-0d4c0f6c1a2b)\n[Peer]\n", "aws"),
        ("# Client: my phone (12)\n[Peer]\n", "my phone"),
        ("# Client: Bob (work)\n[Peer]\n", "Bob (work)"),
        ("# Name: Bob (2)\n[Peer]\n", "Bob (2)"),
        ('[Peer]\n# friendly_json={"username":"aws","id":482217555}\n', "aws"),
        ('[Peer]\n# friendly_json={\\"id\\":1,\\"username\\":\\"aws\\"}\n', "aws"),
        ('# friendly_json = {"mood": "happy"}\n[Peer]\n# aws\n', "aws"),
        ("# friendly_json = {broken}\n[Peer]\n", ""),
        ("[Peer] # aws\n", "aws"),
        ("# endre\n[Peer]\n", "endre"),
        ("# old\n#[Peer]\n#PublicKey = x\n#AllowedIPs = 10.0.0.9/32\n# aws\n[Peer]\n", "aws"),
        ("#PostUp = iptables\n[Peer]\n", ""),
        ("# the old machine in the cellar\n[Peer]\n", ""),
        ("# somebody else\n\n[Peer]\n", ""),
        ("[Peer]\nPublicKey = x\n# later\n", ""),
    ],
)
def test_comments_that_name_a_peer(lines: str, name: str) -> None:
    (section,) = wg_conf.parse(f"[Interface]\nMTU = 1\n{lines}AllowedIPs = 10.0.0.1\n").peers
    assert section.name == name


@pytest.mark.parametrize(
    "comment",
    ["## begin " + "#" * 10**6 + " y", "# Client: a" + " " * 10**6 + "b", "# friendly_json={" + "{" * 10**6 + "}"],
)
def test_a_comment_of_any_length_is_read_in_no_time(comment: str) -> None:
    began = time.process_time()
    (section,) = wg_conf.parse(f"{comment}\n[Peer]\n").peers
    assert section.name is not None
    assert time.process_time() - began < 5, (
        "seconds, of which it takes a hundredth; what grows with the square takes hours"
    )


def test_lists_may_be_spread_and_keys_written_anyhow() -> None:
    conf = wg_conf.parse("[interface]\naddress=10.0.0.1/24 , fd00::1/64 # both\nADDRESS = 10.0.0.2/24\nrubbish\n")
    assert conf.interface.many("Address") == ["10.0.0.1/24", "fd00::1/64", "10.0.0.2/24"]
    assert conf.odd == ("line 4 is not a setting of wg-quick: left out",)
