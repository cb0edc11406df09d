"""What a check has to say about one place in the mesh repository."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

ERROR = "error"
WARNING = "warning"


@frozen(order=True)
class Finding:
    """One thing wrong (or doubtful) at one key of one file; ``key`` is empty for the file as a whole."""

    file: str
    key: str
    message: str
    severity: str = ERROR

    def __str__(self) -> str:
        mark = "" if self.severity == ERROR else f"{self.severity}: "
        return f"{self.file}:{self.key}: {mark}{self.message}"

    def as_json(self) -> dict[str, str]:
        return {"file": self.file, "key": self.key, "severity": self.severity, "message": self.message}


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that keep a commit from being applied."""
    return tuple(finding for finding in findings if finding.severity == ERROR)
