"""A page of docs/ as a story: its commands, in their order, each on the machine that the page names.

A block that begins with ```sh on=NAME is run on NAME by `sh -e`, as root, in the home directory, or on each of several
machines in turn, on=A,B; `exit=N` is the exit code that its last command ends with. If a ```text block comes next, it
shows what is printed, stdout and stderr: its lines, in this order, none of them left out; … stands for anything, within
a line or as a line for any number of them.
A git host shows the page without these words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from lab.host import Host
from lab.tree import HOME

PATIENCE = 120.0
"""Seconds for a block: it may have several runs of mesh-sync, beside other load."""
_FENCE = re.compile(r"^```(\S*)[ ]*(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """A script of the page: where it is, on which machine it runs, how it ends, and what it prints."""

    heading: str
    line: int
    hosts: tuple[str, ...]
    exit_code: int
    script: str
    shown: str | None


@frozen
class Fenced:
    """Any fenced block of a page, run or not."""

    language: str
    words: Mapping[str, str]
    text: str
    line: int


def fenced(text: str) -> list[Fenced]:
    """All fenced blocks of a page."""
    found = []
    for match in _FENCE.finditer(text):
        words = dict(word.split("=", 1) for word in match[2].split() if "=" in word)
        found.append(Fenced(match[1], words, match[3], text.count("\n", 0, match.start()) + 1))
    return found


def blocks(text: str) -> list[Block]:
    """The blocks of a page that are run."""
    headings = [
        (text.count("\n", 0, found.start()) + 1, found[1]) for found in re.finditer(r"^#+ (.*)$", text, re.MULTILINE)
    ]
    every = fenced(text)
    inside = [range(one.line, one.line + one.text.count("\n") + 2) for one in every]
    headings = [(line, title) for line, title in headings if not any(line in lines for lines in inside)]
    found = []
    for one, after in zip(every, [*every[1:], None], strict=True):
        if one.language != "sh" or "on" not in one.words:
            continue
        heading = next(title for line, title in reversed(headings) if line < one.line)
        shown = after.text if after and after.language == "text" else None
        exit_code = int(one.words.get("exit", "0"))
        found.append(Block(heading, one.line, tuple(one.words["on"].split(",")), exit_code, one.text, shown))
    return found


def shows(shown: str, printed: str) -> bool:
    """Whether what a page shows is what was printed. The width of spaces does not count: a terminal aligns tables."""
    pattern = ""
    for line in _lines(shown):
        pattern += r"(?:.*\n)*?" if line == "…" else r"[^\n]*".join(map(re.escape, line.split("…"))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


class Story:
    """A page and the machines of its names; each `tell` runs the blocks below one heading."""

    def __init__(self, page: Path, hosts: Mapping[str, Host]) -> None:
        self.page, self.hosts = page, dict(hosts)
        self.untold = blocks(page.read_text())

    def tell(self, heading: str, number: int | None = None) -> None:
        """Run what is below this heading, or only its next ``number`` blocks.

        AssertionError, with the line of the page, where something is not as the page says.
        """
        here = [block for block in self.untold if block.heading == heading][:number]
        assert here, f"{self.page.name} has nothing left to run below {heading!r}"
        for block in here:
            self.untold.remove(block)
            for host in block.hosts:
                self._run(block, host)

    def _run(self, block: Block, host: str) -> None:
        script = f"exec 2>&1\n{block.script}"
        done = self.hosts[host].run(["sh", "-ec", script], cwd=HOME, timeout=PATIENCE, check=False)
        where = f"{self.page.name}:{block.line}, on {host}: exit {done.returncode}\n{block.script}"
        said = f"-- printed:\n{done.stdout}{done.stderr}"
        print(where + said)
        assert done.returncode == block.exit_code, f"{where}{said}"
        if block.shown is not None:
            assert shows(block.shown, done.stdout), f"{where}-- shown:\n{block.shown}{said}"
