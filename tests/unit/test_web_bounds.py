"""What a page shows at once is bounded, however large the list is, and says what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mesh_sync.invitation.answer import LONGEST
from mesh_sync.web import mesh_page, peer_page, plan_page
from unit.list_keeper import Operator, key
from unit.test_web_changes import Desk
from unit.web_page import given_away, place, serving

MANY = 260


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A mesh of some hundred peers, each of which check warns of, and of which half have a tag of their own."""
    with place() as folder:
        operator = Operator(folder / "mesh")
        file = operator.place / "mesh.toml"
        file.write_text(file.read_text().replace("10.0.0.0/24", "10.0.0.0/16"))
        for number in range(MANY):
            tag = f'tags = ["t{number}"]\n' if number % 2 else ""
            address = f"10.0.{1 + number // 200}.{number % 200 + 1}"
            operator.put(f"n{number}", f'public_key = "{key()}"\naddresses = ["{address}"]\n{tag}')
        operator.git.git.add("--all")
        operator.git.git.commit("--quiet", "-m", "many")
        given_away(folder)
        with serving(folder / "mesh") as running:
            yield Desk(folder, running.enter())


def test_the_first_page_has_so_many_findings_and_tags(desk: Desk) -> None:
    text = desk.page.ask("/").text
    assert text.count('<li class="doubtful">') == mesh_page.FINDINGS
    assert text.count('<option value="t') == mesh_page.TAGS
    assert "mesh-sync check lists them all" in text


def test_of_a_peers_pairs_so_many_are_shown_unless_all_are_asked_for(desk: Desk) -> None:
    text = desk.page.ask("/peer/n1").text
    assert text.count('<tr><th scope="row">') == peer_page.PAIRS
    assert f"Show all {MANY}" in text
    assert desk.page.ask("/peer/n1?all").text.count('<tr><th scope="row">') == MANY


def test_of_a_plan_so_many_nodes_and_entries_are_shown(desk: Desk) -> None:
    desk.toml("aws", (desk.mesh / "peers/aws.toml").read_text().replace("192.168.10.0/24", "192.168.11.0/24"))
    answer = desk.page.ask("/plan")
    assert f"{MANY} nodes change" in answer.shown
    by_node = answer.text.partition("Node by node")[2].partition("</details>")[0]
    assert by_node.count("<h3>") == plan_page.NODES
    assert f"and {MANY - plan_page.NODES} more" in by_node


def test_an_invitation_has_a_longest_lifetime(desk: Desk) -> None:
    longest = str(LONGEST // 60 + 1)
    assert desk.page.ask("/invite", {"name": "new", "minutes": longest}).status == 400
