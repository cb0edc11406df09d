"""The operator's page of a repository with markup in every text field."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from mesh_sync.web.app import STATIC
from unit.list_keeper import Operator
from unit.web_page import given_away, place, read, serving

OURS = {f"/static/{file.name}" for file in STATIC.glob("*.js")}
NASTY = """"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{0}&lt;"""


def _hostile(place: Path) -> Operator:
    """A list with markup wherever a person, or a node's key, can write text; and files that are broken with markup."""
    operator = Operator(place)
    toml = NASTY.replace("\\", "\\\\").replace('"', '\\"')
    texts = "".join(f'{key} = "{toml}"\n' for key in ("description", "owner"))
    key = base64.b64encode(os.urandom(32)).decode()
    operator.put("evil", f'public_key = "{key}"\naddresses = ["10.0.0.9"]\ntags = ["{toml}"]\n{texts}')
    operator.put("broken", f'public_key = "{toml}"\nvia = "{toml}"\n"{toml}" = 1\naddresses = ["{toml}"]\n')
    (place / "peers" / f"{NASTY.replace('/', '_')}.toml").write_text(f'x = "{toml}"\n')
    (place / "mesh.toml").write_text(f'format = 1\nname = "{toml[:60]}"\nnetworks = ["10.0.0.0/24", "fd00::/64"]\n')
    (place / "allowed_signers").write_text(f"{NASTY} ssh-ed25519 AAAA\n")
    operator.git.git.add("--all")
    operator.git.git.commit("--quiet", "-m", NASTY)
    return operator


@pytest.mark.parametrize("mesh_is_broken", [False, True])
def test_what_a_hostile_repository_says_is_text(mesh_is_broken: bool) -> None:
    """Such a list fails `check`, and can be read all the same."""
    with place() as folder:
        operator = _hostile(folder / "mesh")
        if mesh_is_broken:
            (operator.place / "mesh.toml").write_text(f'format = 1\n"{NASTY[2:]}" = 3\n')
            operator.git.git.commit("--quiet", "--all", "-m", "break")
        given_away(folder)
        with serving(folder / "mesh") as running:
            running.enter()
            paths = ["/", "/?q=evil", "/?q=%3Cscript%3Ealert(1)%3C/script%3E&sort=%22%3E&group=%3Cb%3E&tag=%3Cb%3E"]
            paths += [
                "/plan",
                "/history",
                "/signers",
                "/invite",
                "/secrets",
                "/peer/evil",
                "/peer/broken",
                "/peer/%3Cscript%3E",
                "/%3Cscript%3E",
            ]
            for path in paths:
                answer = running.ask(path)
                assert answer.status in (200, 404), (path, answer.text)
                reader = read(answer.text)
                scripts = [each for tag, each in reader.elements if tag == "script"]
                assert all(each.keys() == {"src", "defer"} for each in scripts)
                assert {each["src"] for each in scripts} <= OURS
                assert not [tag for tag, each in reader.elements if tag == "img" or "onerror" in each]
                assert "49{0}" not in "".join(reader.texts)
            shown = running.ask("/").shown
            assert "<script>alert(1)</script>" in shown
            assert "broken" in shown
