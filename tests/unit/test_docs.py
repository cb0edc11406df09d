"""What the pages name is there: tests, modules, files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lab.story import fenced

ROOT = Path(__file__).parents[2]
PAGES = (
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
)
TESTS = "\n".join(path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")))
FILES = {
    path.name for folder in ("sync", "watchdog", "tests", "bench", "script") for path in (ROOT / folder).rglob("*")
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    named = {name.rpartition("/")[2] for name in re.findall(r"`([\w./-]+\.py)`", text)}
    assert not named - FILES
    links = {link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text) if not link.startswith("http")}
    assert not [link for link in links if not (page.parent / link).exists()]


def test_every_test_that_shows_an_attack_is_there() -> None:
    table = (ROOT / "docs/trust.md").read_text().partition("## Attacks")[2]
    rows = [line.split(" | ")[-1] for line in table.splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`([a-z]+_[a-z_]+)(?!\.py)\b", row)}
    assert len(named) > 10
    assert not [name for name in named if name not in TESTS]


def test_no_message_sends_a_person_to_a_page_that_a_node_does_not_have() -> None:
    found = []
    for path in [*(ROOT / "sync").rglob("*.py"), *(ROOT / "watchdog").rglob("*.py")]:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        explained = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings are for developers
        texts = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in explained)
        found += [(path.name, node.value) for node in texts if re.search(r"docs/\S+\.md", str(node.value))]
    assert not found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_with_blocks_that_are_run_is_run_whole(page: Path) -> None:
    """Its e2e test tells it to the end; and no command of ours on it is left out."""
    every = fenced(page.read_text())
    if not any("on" in block.words for block in every):
        return
    test = (ROOT / f"tests/e2e/test_page_{page.stem}.py").read_text()
    assert f"docs/{page.name}" in test
    assert "assert not story.untold" in test
    shell = [block for block in every if block.language in ("", "sh")]
    ours = [block for block in shell if re.search(r"^\s*mesh-(sync|watchdog) ", block.text, re.MULTILINE)]
    assert [block.line for block in ours if "on" not in block.words] == []
