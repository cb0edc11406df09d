"""One thing about this machine or its network that keeps the mesh from working, and what to do about it."""

from __future__ import annotations

from attrs import field, frozen

from mesh_sync.findings import ERROR, WARNING, printable

__all__ = ["ERROR", "WARNING", "Trouble"]


@frozen(order=True)
class Trouble:
    """``code``: which kind, a word that stays; ``text``: what is so, as a sentence; ``fix``: the command that mends it,
    or what to do where no command can.

    An ``ERROR`` keeps packets from passing; with a ``WARNING`` something is doubtful, or works less well.
    """

    code: str
    text: str = field(converter=printable)
    fix: str = field(default="", converter=printable)
    severity: str = ERROR

    def __str__(self) -> str:
        return f"{self.severity}: {self.code}: {self.text}"

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "severity": self.severity, "text": self.text, "fix": self.fix}
