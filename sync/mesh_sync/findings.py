"""What a check has to say about one place in the mesh repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import field, frozen

ERROR = "error"
WARNING = "warning"
MAX_SHOWN = 60
"""Characters of an offending value that a message quotes."""
MAX_PLACE = 200
"""Characters of a file's or key's name that a message shows."""
MAX_MESSAGE = 1000
MAX_ERRORS = 1000
"""After so many it is said that there are more, and nothing more is looked for."""


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, cut when long."""
    try:
        quoted = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a table in a table in a table …
        return "something too long to read"
    return quoted if len(quoted) <= MAX_SHOWN else quoted[: MAX_SHOWN - 4] + "...'"


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
    """One thing wrong (or doubtful) at one key of one file; ``key`` is empty for the file as a whole.

    File and key are names that a stranger may have chosen: they are made fit to print here, once for all.
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
    """What is found, up to so many errors; then one more, which says that there are more."""
    count = 0
    for finding in found:
        count += finding.severity == ERROR
        if count > MAX_ERRORS:
            yield Finding(".", "", f"has more errors than these {MAX_ERRORS:,}")
            return
        yield finding


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that keep a commit from being applied."""
    return tuple(finding for finding in findings if finding.severity == ERROR)
