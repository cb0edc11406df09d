"""A program's manual page from its commands' help, in man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from command_help import Help, Paragraph

FILES = {
    "/etc/mesh-sync/node.toml": "What this machine is, and how it follows the mesh. mesh-sync join writes it.",
    "/etc/wireguard/wg0.conf": "The interface as last applied, in the format of wg-quick(8).",
    "/var/lib/mesh-sync": "The applied state, and the mesh repository.",
}
SEE_ALSO = ("wg(8)", "wg-quick(8)", "git(1)", "ssh-keygen(1)")


def text(commands: Sequence[Help], others: Iterable[str]) -> str:
    """The page of a program: ``commands`` are its own help and then those of its commands; ``others`` are related."""
    return "\n".join(_lines(commands, others)) + "\n"


def _lines(commands: Sequence[Help], others: Iterable[str]) -> Iterator[str]:
    program, *parts = commands
    summary, *more = program.paragraphs
    yield f'.TH {program.path.upper()} 1 "" mesh-sync "User Commands"'
    yield from (".SH NAME", f"{_escaped(program.path)} \\- {_escaped(summary.text.rstrip('.'))}")
    yield from (".SH SYNOPSIS", _escaped(program.usage))
    yield ".SH DESCRIPTION"
    yield from _paragraphs([summary, *more])
    yield from _options(program)
    yield ".SH COMMANDS"
    for part in parts:
        yield f".SS {_escaped(part.usage)}"
        yield from _paragraphs(part.paragraphs)
        yield from _options(part)
    yield ".SH FILES"
    for path, words in FILES.items():
        yield from _item(path, words)
    yield from (".SH SEE ALSO", ",\n".join(map(_escaped, (*(f"{other}(1)" for other in others), *SEE_ALSO))))


def _paragraphs(paragraphs: Iterable[Paragraph]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield ".PP"
        yield from (".nf", _escaped(paragraph.text), ".fi") if paragraph.kept else (_escaped(paragraph.text),)


def _options(command: Help) -> Iterator[str]:
    for names, words in command.options:
        yield from _item(names, words)


def _item(name: str, words: str) -> Iterator[str]:
    yield from (".TP", f"\\fB{_escaped(name)}\\fR", _escaped(words))


def _escaped(words: str) -> str:
    """Text that troff prints as it is: its escapes, a hyphen that can be copied, no request at a line's beginning."""
    shown = words.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", shown)
