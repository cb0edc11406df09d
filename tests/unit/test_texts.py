"""What people write has bounds, and shows all that is there: in the list, in policy.toml, in node.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_sync.errors import ConfigError
from mesh_sync.mesh.manifest import MAX_PEER_FILE, read
from mesh_sync.node import config
from mesh_sync.trust import node_rights
from unit.judging_node import ADMIN, NODE_B, SignedMesh, back, findings

MESH = 'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n'
PEER = f'public_key = "{"A" * 42}E="\naddresses = ["10.0.0.1"]\n'
NODE = 'name = "a"\nprivate_key_file = "/k"\n[repository]\nurls = ["file:///x"]\n[trust]\nmode = "none"\n'
HIDDEN = {
    "NUL": "\\u0000",
    "escape": "\\u001b",
    "backspace": "\\b",
    "return": "\\r",
    "form feed": "\\f",
    "vertical tab": "\\u000b",
    "DEL": "\\u007f",
    "C1": "\\u009b",
    "NEL": "\\u0085",
    "line separator": "\\u2028",
    "paragraph separator": "\\u2029",
    "override": "\\u202e",
    "isolate": "\\u2066",
}
"""As TOML escapes them in quotes."""


def wrong(peer: str = "", mesh: str = "") -> list[str]:
    files = {"mesh.toml": f"{MESH}{mesh}".encode(), "peers/a.toml": f"{PEER}{peer}".encode()}
    return [str(one) for one in read(files)[1]]


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize(
    ("peer", "mesh", "place"),
    [
        ('description = "a{}b"', "", "peers/a.toml:description"),
        ('owner = "a{}b"', "", "peers/a.toml:owner"),
        ('tags = ["x", "a{}b"]', "", "peers/a.toml:tags[1]"),
        ("", '[[expect]]\nfrom = "a"\nto = "a{}b"', "mesh.toml:expect[0].to"),
    ],
)
def test_a_character_that_no_reader_sees_is_a_finding(hidden: str, peer: str, mesh: str, place: str) -> None:
    [said] = wrong(peer.replace("{}", hidden), mesh.replace("{}", hidden))
    assert said.startswith(f"{place}: has the control character U+00" if hidden[2:3] == "0" else f"{place}: has ")
    assert "no reader sees" in said


@pytest.mark.parametrize("hidden", [text for text in HIDDEN.values() if text[2:4] in ("00", "20")])
@pytest.mark.parametrize("text", ['name = "la{}b"', 'dns_zone = "a{}b"'])
def test_nor_is_it_in_a_name(hidden: str, text: str) -> None:
    key = text.partition(" ")[0]
    kept = "\n".join(line for line in MESH.splitlines() if not line.startswith(key))
    found = read({"mesh.toml": f"{kept}\n{text.replace('{}', hidden)}\n".encode()})[1]
    assert [one.key for one in found] == [key]


@pytest.mark.parametrize("hidden", ["\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\u2067"])
def test_nor_in_a_comment_of_any_file(hidden: str) -> None:
    comment = f"\n# a comment{hidden}of two\n"
    code = f"U+{ord(hidden):04X}"
    assert f"has the control character {code} (line 4), which no reader sees" in wrong(comment)[0]
    assert code in wrong(mesh=comment)[0]
    rights, found = node_rights.parse(f'[nodes]\na = ["tags"]{comment}'.encode())
    assert code in found[0].message
    assert rights.grants("a") == frozenset()
    with pytest.raises(ConfigError, match=code.replace("+", r"\+")):
        config.parse(f"{NODE}{comment}".encode(), Path("node.toml"))


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize(
    "text",
    ['[hooks]\npost_up = ["a{}b"]', '[paths]\nwireguard = "/a{}b"', '[paths]\nrun = "/a{}b"'],
)
def test_nor_in_what_root_writes(hidden: str, text: str) -> None:
    with pytest.raises(ConfigError, match="no reader sees"):
        config.parse(f"{NODE}{text.replace('{}', hidden)}\n".encode(), Path("node.toml"))


def test_text_in_any_language_and_on_several_lines_is_fine() -> None:
    assert wrong('description = """Büro 東京 مكتب 🏳️‍🌈\n\tsecond line\n"""\nowner = "Ægir Ødegård"') == []
    assert wrong('description = """\r\none\r\ntwo\r\n"""\r\n# comment\r\n') == []
    commands = f'{NODE}[hooks]\npost_up = ["""\nif true; then\n\ttrue\nfi\n"""]\n'
    assert config.parse(commands.encode(), Path("node.toml")).hooks.post_up[0].count("\n") == 3


def listed(key: str, count: int, entry: str) -> str:
    return f"{key} = [{', '.join(entry.format(number, number % 250, number // 250) for number in range(count))}]\n"


@pytest.mark.parametrize(
    ("fits", "too_much", "said"),
    [
        (
            f'description = "{"x" * 1000}"',
            f'description = "{"x" * 1001}"',
            "description: has 1,001 characters; at",
        ),
        (f'owner = "{"ö" * 200}"', f'owner = "{"ö" * 201}"', "owner: has 201 characters; at most 200 are allowed"),
        (f'tags = ["{"x" * 200}"]', f'tags = ["{"x" * 201}"]', "tags[0]: has 201 characters; at most 200 are allowed"),
        (listed("tags", 64, '"{0}"'), listed("tags", 65, '"{0}"'), "tags: has 65 entries; at most 64 are allowed"),
        (
            listed("subnets", 500, '"10.{2}.{1}.0/24"'),
            listed("subnets", 501, '"10.{2}.{1}.0/24"'),
            "subnets: has 501 entries; at most 500 are allowed",
        ),
        (
            listed("export_routes", 500, '"10.{2}.{1}.0/24"'),
            listed("export_routes", 501, '"10.{2}.{1}.0/24"'),
            "export_routes: has 501 entries; at most 500 are allowed",
        ),
        (listed("dns", 8, '"10.0.0.{0}"'), listed("dns", 9, '"10.0.0.{0}"'), "dns: has 9 entries; at most 8 are"),
        ("#" * (MAX_PEER_FILE - len(PEER)), "#" * (MAX_PEER_FILE - len(PEER) + 1), ": is 16,385 bytes long; the limit"),
    ],
    ids=["description", "owner", "tag", "tags", "subnets", "routes", "dns", "file"],
)
def test_a_peer_has_bounds(fits: str, too_much: str, said: str) -> None:
    assert wrong(fits) == []
    [found] = wrong(too_much)
    assert found.startswith(f"peers/a.toml:{said}")


def test_the_longest_list_of_subnets_fits_into_a_file() -> None:
    assert wrong("subnets = [" + ", ".join(f'"2001:db8:{number:x}:8000::/64"' for number in range(500)) + "]") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (listed("networks", 65, '"10.0.{0}.0/24"'), "networks: has 65 entries; at most 64 are allowed"),
        (
            "expect = [{}]".format(", ".join(['{from="a",to="a"}'] * 1001)),
            "expect: has 1,001 entries; at most 1,000 are allowed",
        ),
    ],
)
def test_so_has_mesh_toml(text: str, said: str) -> None:
    kept = MESH if text.startswith("expect") else MESH.rpartition("networks")[0]
    assert [f"mesh.toml:{said}"] == [str(one) for one in read({"mesh.toml": f"{kept}{text}\n".encode()})[1]]


def test_a_node_refuses_a_text_without_bounds_and_says_which(signed: SignedMesh) -> None:
    signed.sign_as(NODE_B)
    signed.set("b", description="x" * 14_000)
    commit = signed.push("much to say")
    assert findings(signed, commit) == ["peers/b.toml:description: has 14,000 characters; at most 1,000 are allowed"]
    back(signed).sign_as(ADMIN)
