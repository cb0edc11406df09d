"""What the pages name is there: tests, modules, files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from command import mesh_sync
from lab.story import fenced
from mesh_sync.cli.main import cli
from mesh_sync.wireguard import keys
from mesh_watchdog.cli import cli as watchdog_cli

ROOT = Path(__file__).parents[2]
PAGES = (
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
)
TESTS = "\n".join(path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")))
PROGRAMS: dict[str, click.Command] = {"mesh-sync": cli, "mesh-watchdog": watchdog_cli}
TYPED = re.compile(r"(?:^|[|;&(] *|sudo )(mesh-(?:sync|watchdog)) ([^|;&)#\n]*)", re.MULTILINE)
"""A command of ours, as a page has it typed."""
SUBSTITUTED = re.compile(r"\$\([^)]*\)")
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


def test_the_index_has_every_page_and_marks_those_that_are_run() -> None:
    index = ROOT / "docs/README.md"
    rows = [line for line in index.read_text().splitlines() if line.startswith("| ")]
    for page in PAGES:
        name = page.relative_to(index.parent).as_posix() if page.is_relative_to(index.parent) else f"../{page.name}"
        if page in (index, ROOT / "README.md", ROOT / "CHANGELOG.md"):
            continue
        [row] = [row for row in rows if f"]({name})" in row]
        run = any({"on", "machine"} & block.words.keys() for block in fenced(page.read_text()))
        assert ("▸" in row) == run, name


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
    assert [block.line for block in ours if not {"on", "machine"} & block.words.keys()] == []


def test_the_chinese_start_has_the_commands_of_the_english_one() -> None:
    """On the same machines, in the same order: to run one is to run the other."""
    english, chinese = (
        [(block.words["machine"], block.text) for block in fenced(page.read_text()) if "machine" in block.words]
        for page in (ROOT / "docs/start.md", ROOT / "docs/zh/start.md")
    )
    assert len(english) == 4
    assert chinese == english


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_has_typed_is_there(page: Path) -> None:
    text = page.read_text()
    shell = [block.text.replace("\\\n", " ") for block in fenced(text) if block.language in ("", "sh")]
    inline = re.findall(r"`([^`\n]+)`", text)
    typed = [one for code in (*shell, *inline) for one in TYPED.findall(SUBSTITUTED.sub("X", code))]
    wrong = [(program, words) for program, words in typed if _unknown(PROGRAMS[program], words.split())]
    assert not wrong


def _unknown(command: click.Command, words: list[str]) -> set[str]:
    """What of these words is neither a command nor one of its options."""
    context = click.Context(command, **cli.context_settings)  # click remembers the help option of the first one
    if isinstance(command, click.Group) and words[:1] == ["…"]:  # any of its commands
        return set()
    if isinstance(command, click.Group) and words and re.fullmatch(r"[a-z]+[a-z-]*", words[0]):
        part = command.get_command(context, words[0])
        return _unknown(part, words[1:]) if part else {words[0]}
    known = {name for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
    return {word.partition("=")[0] for word in words if word.startswith("-")} - {*known, "-h", "--help", "-"}


def test_the_picture_of_the_readme_is_what_graph_draws_of_its_mesh(tmp_path: Path) -> None:
    """The mesh of its first command, which is run here; the picture of it is docs/mesh.svg."""
    place = tmp_path / "home"
    mesh_sync("init", place).fine()
    for name, *words in (
        ("aws", "--endpoint", "203.0.113.21:51820"),
        ("azure", "--endpoint", "203.0.113.22:51820"),
        ("gcp", "--endpoint", "203.0.113.23:51820"),
        ("home", "--endpoint", "home.example.org:51820"),
        ("cabin",),
        ("phone", "--via", "aws", "--unmanaged"),
    ):
        key = keys.public_key(keys.generate())
        mesh_sync("peer", "add", name, "--public-key", key, "-C", place, "--commit", *words).fine()
    first = next(block.text for block in fenced((ROOT / "README.md").read_text()) if "mesh-sync" in block.text)
    _, words = TYPED.findall(first)[0]
    mesh_sync(*words.split(), "-C", place).fine()
    mesh_sync("graph", place, "-o", tmp_path / "mesh.svg").fine()
    assert (tmp_path / "mesh.svg").read_text() == (ROOT / "docs/mesh.svg").read_text()


def test_no_example_keeps_a_private_key_in_the_list() -> None:
    """It would be refused there; examples are typed in the list's directory."""
    texts = [page.read_text() for page in PAGES]
    kept = re.findall(r"--(?:new-key|secret-file|private-key-file)[ =]([\w./~$]+)", "\n".join(texts))
    assert len(kept) > 10
    assert not [file for file in kept if not file.startswith(("~/", "/", "$", "F", "../"))]
