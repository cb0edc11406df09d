"""What is wrong, or doubtful, at one place of a mesh repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import field, frozen

ERROR = "error"
WARNING = "warning"
MAX_SHOWN = 60
"""Characters of an offending value that a message quotes."""
MAX_NAMED = 5
"""How many things a message lists before it says "and N more"."""
MAX_PLACE = 200
"""Characters of a file's or key's name that a message shows."""
MAX_MESSAGE = 1000
MAX_ERRORS = 1000
"""Errors that are listed; after these the search ends."""


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, cut if it is long."""
    try:
        quoted = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a table in a table in a table …
        return "a value too long to show"
    return quoted if len(quoted) <= MAX_SHOWN else quoted[: MAX_SHOWN - 4] + "...'"


def some(things: Sequence[object], separator: str = ", ", more: int = 0) -> str:
    """The first of some things by name, and how many there are besides; ``more``: not counting those given."""
    more = max(more, len(things) - MAX_NAMED)
    return separator.join(map(str, things[:MAX_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def printable(text: str) -> str:
    """A text with its control characters escaped: it stays on one line, and no terminal obeys it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _place(text: str) -> str:
    return _cut(printable(text), MAX_PLACE)


def _message(text: str) -> str:
    return _cut(printable(text), MAX_MESSAGE)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


@frozen(order=True)
class Finding:
    """One thing that is wrong at one key of one file; ``key`` is empty for the file as a whole.

    File and key are names that a stranger may have chosen: here they are made fit to print.
    """

    file: str = field(converter=_place)
    key: str = field(converter=_place)
    message: str = field(converter=_message)
    severity: str = ERROR

    def __str__(self) -> str:
        mark = "" if self.severity == ERROR else f"{self.severity}: "
        return f"{self.file}:{self.key}: {mark}{self.message}"

    def as_json(self) -> dict[str, str]:
        return {"file": self.file, "key": self.key, "severity": self.severity, "message": self.message}


def until_enough(found: Iterable[Finding]) -> Iterator[Finding]:
    """The findings up to MAX_ERRORS errors, and then one that says that there are more."""
    count = 0
    for finding in found:
        count += finding.severity == ERROR
        if count > MAX_ERRORS:
            yield Finding(".", "", f"has more errors than the {MAX_ERRORS:,} that are listed")
            return
        yield finding


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that keep a commit from being applied."""
    return tuple(finding for finding in findings if finding.severity == ERROR)
