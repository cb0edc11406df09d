"""`mesh-sync plan --markdown`: readable for a large mesh, and whatever a pull request says in it is inert."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from command import mesh_sync
from mesh_sync.findings import WARNING, Finding
from mesh_sync.wireguard.plan import Change
from mesh_sync.workspace.plan_markdown import LONGEST, MARK, MOST, code, markdown
from mesh_sync.workspace.preview import Preview
from unit.git_identity import as_alice
from unit.list_keeper import Operator

HOSTILE = (
    "@everyone", "#1", "GH-1", "org/repo#1", "!7", "http://evil.example", "www.evil.example", "<evil@evil.example>",
    "[x](http://evil.example)", "![x](http://evil.example/x.png)", "[x]: http://evil.example", "<img src=x>",
    "</details><script>alert(1)</script>", "<!--", "-->", "*x*", "`", "``@everyone``", "` @everyone `", "\\`@everyone`",
    "a\n\n# title\n@everyone", "a\r\n- x", "| a | b |", "~~~\n@everyone", "$x$", "\u202etxt.exe", "\u200b", "&lt;b&gt;",
)  # fmt: skip
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def letters(text: str) -> str:
    """All that a reader of Markdown sees as other than code: text, tags, where links lead."""
    seen: list[str] = []
    for block in PARSER.parse(text):
        for token in block.children or [block]:
            assert token.type not in ("link_open", "image")
            if token.type != "code_inline":
                seen.append(token.content if not token.children else "")
    return "\n".join(seen)


class Tags(HTMLParser):
    """The tags that stand outside of code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        for block in PARSER.parse(text):
            for token in block.children or [block]:
                if token.type in ("html_inline", "html_block"):
                    self.feed(token.content)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)
        assert not attrs

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")


def inert(text: str, *hostile: str) -> None:
    """Nothing of this is Markdown, HTML, a mention, or a link."""
    assert set(Tags(text).found) <= {"details", "/details", "summary", "/summary"}
    seen = letters(text)
    for word in ("everyone", "evil", "script", "img", *hostile):
        assert word not in seen, seen


def preview(text: str) -> Preview:
    """A plan in which everything that is not ours is this text."""
    changes = tuple(Change(kind, text) for kind in ("peer-added", "node-renamed", "exit", "allowed-ips"))
    return Preview({text: changes, "b": changes}, (Finding("allowed_signers", text, text, WARNING),), text)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_the_list_says_is_inert(text: str) -> None:
    shown = markdown(preview(text))
    inert(shown)
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == len(markdown(preview("x")).splitlines()), "it makes no line of its own"


@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=20)), max_size=6))
def test_any_text_is_one_span_of_code(parts: list[str]) -> None:
    text = "".join(parts)
    [block] = [token for token in PARSER.parse(f"- {code(text)} on\n") if token.type == "inline"]
    first, rest = block.children or []
    assert (first.type, rest.type, rest.content) == ("code_inline", "text", " on")
    assert len(first.content) <= LONGEST


def test_a_change_of_many_nodes_is_told_once_and_their_names_are_folded_away() -> None:
    nodes = {f"n{number}": (Change("peer-added", "peer phone added", "phone"),) for number in range(200)}
    nodes["phone"] = (Change("node-added", "joins the mesh with 200 peers", "phone"),)
    shown = markdown(Preview(nodes, ()))
    assert shown.startswith(f"{MARK}\n### Mesh: 201 nodes would change\n\n| what | changes | nodes |\n")
    assert "| Peers that join the mesh | 1 | 1 |\n| Tunnels that begin | 1 | 200 |\n" in shown
    assert "- `phone joins the mesh with 200 peers`\n" in shown
    assert "- `peer phone added` on 200 nodes\n  <details><summary>which</summary>\n\n  `n0`, `n1`," in shown
    assert len([line for line in shown.splitlines() if len(line) < 200]) < 20
    assert Tags(shown).found == ["details", "summary", "/summary", "/details"]


def test_many_changes_of_one_kind_are_folded_away() -> None:
    changes = tuple(Change("route-added", f"route 10.{number}.0.0/16 added") for number in range(20))
    shown = markdown(Preview({"a": changes}, ()))
    assert "| Routes that are added | 20 | 1 |" in shown
    assert "<details><summary>20 changes</summary>\n\n- `route 10.0.0.0/16 added` on `a`\n" in shown


def test_what_is_too_long_for_a_comment_is_cut_between_two_changes() -> None:
    nodes = {
        f"n{node}": tuple(Change("peer-added", f"peer {node}-{n} added") for n in range(30)) for node in range(200)
    }
    shown = markdown(Preview(nodes, ()), "mesh-sync plan a..b")
    assert MOST - 1000 < len(shown) <= MOST
    assert shown.endswith("_Cut: it is too long for a comment._ `mesh-sync plan a..b` _shows all._\n")
    found = Tags(shown).found
    assert found.count("details") == found.count("/details") > 0
    assert "| Tunnels that begin | 6,000 | 200 |" in shown, "all of it is counted"


def test_admins_come_before_everything_else(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    as_alice(monkeypatch)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkB1X+1dU0DbCgtB09oTDU8NrMf/5cGHnX3nOX0hG5z"
    (operator.place / "allowed_signers").write_text(f"[x](http://evil.example)`@everyone {key}\n")
    operator.put("aws", operator.aws.replace("192.168.10.0", "192.168.11.0"))
    operator.add("home").fine()
    operator.git.git.add("--all")
    operator.git.git.commit("-qm", "[x](http://evil.example) @everyone <img src=x>")
    shown = mesh_sync("plan", "--markdown", "-C", operator.place).fine()
    inert(shown)
    admins, rest = shown.split("| what |")
    assert (
        "**Admins change. An admin may change everything:**\n\n- ``[x](http://evil.example)`@everyone: becomes"
        in admins
    )
    assert "| Peers that join the mesh | 1 | 1 |" in rest


def test_a_list_with_errors_has_no_plan_and_nothing_to_say_is_said(operator: Operator, tmp_path: Path) -> None:
    assert mesh_sync("plan", "HEAD", "--markdown", "-C", operator.place).fine() == (
        f"{MARK}\n### Mesh: no node would change\n"
    )
    operator.put("x", "mtu = '@everyone'\n")
    ended = mesh_sync("plan", "HEAD", "--markdown", "-C", operator.place)
    assert (ended.code, ended.out) == (1, "")
    assert mesh_sync("plan", "--json", "--markdown", "-C", operator.place).code == 2


TEMPLATE = Path(__file__).parents[2] / "mesh-repo-template"


def test_on_github_no_job_both_reads_a_pull_request_and_may_write() -> None:
    text = (TEMPLATE / ".github/workflows/plan.yml").read_text()
    plan, comment = text.split("\n  comment:\n")
    assert re.findall(r"^ {6}([a-z-]+: [a-z]+)$", plan.split("\njobs:")[1], re.M)[:1] == ["contents: read"]
    assert ": write" not in plan
    assert "\npermissions: {}\n" in plan
    assert "persist-credentials: false" in plan
    assert re.findall(r"[a-z-]+: write", comment) == ["pull-requests: write"]
    assert "checkout" not in comment
    assert not re.search(r"^ *pull_request_target", text, re.M)
    scripts = re.findall(r"run: \|?\n?((?: {10}.*\n)+|.*)", text)
    assert scripts
    assert not any("${{" in script for script in scripts), "what GitHub fills in is no shell"


def test_on_gitlab_the_plan_is_an_artifact() -> None:
    text = (TEMPLATE / ".gitlab-ci.yml").read_text()
    assert 'mesh-sync plan "$CI_MERGE_REQUEST_DIFF_BASE_SHA..HEAD" --markdown > plan.md' in text
    assert "TOKEN" not in text
