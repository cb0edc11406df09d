"""Writes what is made of the commands' help: docs/reference.md, the manual pages and the shells' completions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import command_help
import man_page
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete
from command_help import PROGRAMS, Help

ROOT = Path(__file__).parents[1]
HEAD = """\
# Reference: commands

Written by `script/reference` from the commands' own help: change it there.
"""
COMPLETIONS: dict[str, type[ShellComplete]] = {
    "bash/{}": BashComplete,
    "zsh/_{}": ZshComplete,
    "fish/{}.fish": FishComplete,
}
"""By where each shell looks for a program's completion."""


def main() -> int:
    """Write the files, or with --check compare them; exit 1 when one is not up to date."""
    if "--check" in sys.argv[1:]:
        old = [path for path, text in _pages() if not path.exists() or path.read_text() != text]
        for path in old:
            print(f"{path.relative_to(ROOT)} is not up to date; next: script/reference", file=sys.stderr)
        return 1 if old else 0
    for path, text in (*_pages(), *_completions()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def _pages() -> Iterator[tuple[Path, str]]:
    commands = {program: tuple(command_help.of(program)) for program in PROGRAMS}
    yield ROOT / "docs/reference.md", HEAD + "".join(_markdown(found for part in commands.values() for found in part))
    for program in PROGRAMS:
        others = [other for other in PROGRAMS if other != program]
        yield ROOT / f"packaging/man/{program}.1", man_page.text(commands[program], others)


def _completions() -> Iterator[tuple[Path, str]]:
    """Functions that ask the program itself for what fits. Their text is click's, and not the same in all versions."""
    for program, group in PROGRAMS.items():
        for name, shell in COMPLETIONS.items():
            made = shell(group, {}, program, f"_{program.replace('-', '_').upper()}_COMPLETE")
            text = made.source_template.strip() % made.source_vars() + "\n"
            yield ROOT / "packaging/completions" / name.format(program), text


def _markdown(commands: Iterable[Help]) -> Iterator[str]:
    for command in commands:
        yield f"\n## {command.path}\n\n"
        yield f"`{command.usage}`\n"
        for paragraph in command.paragraphs:
            yield f"\n```\n{paragraph.text}\n```\n" if paragraph.kept else f"\n{paragraph.text}\n"
        if command.options:
            yield "\n| option | |\n|---|---|\n"
            yield from (f"| `{_cell(names)}` | {_cell(words)} |\n" for names, words in command.options)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
