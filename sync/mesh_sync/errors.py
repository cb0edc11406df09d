"""Every error mesh-sync shows to a person, in one tree.

MeshSyncError           message, hint, exit code
├── ConfigError      2  node.toml, a key file or the command line is not usable
├── Unreachable      3  no remote could be asked
├── Refused          4  the commit is not one this node accepts
├── RolledBack       5  the commit was applied, not confirmed, and rolled back
├── DeviceError      6  the interface could not be read or changed
└── Locked           7  another run holds the lock
CommandError            a program failed, and its `reason`; the caller turns it into one of the above
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_sync.findings import Finding


class MeshSyncError(Exception):
    """Something a person can understand and act on: never shown as a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(MeshSyncError):
    """The node's own configuration, or what was typed, is not usable."""

    exit_code = 2


class Unreachable(MeshSyncError):
    """No remote answered in time; the last applied state stays in force."""

    exit_code = 3


class Cause(Enum):
    """Why a commit is refused, for programs, and for those who see many nodes at once."""

    OTHER = ""
    UNTRUSTED = "untrusted"
    """Its history is not signed as it has to be, or cannot be verified."""
    INVALID = "invalid"
    """Its files have errors."""
    GUARD = "guard"
    """It does more than a commit may without saying so."""
    NOT_LISTED = "not-listed"
    """It has no place for this node."""
    KEY = "key"
    """The key of this machine is not the one that it names."""
    SECRET = "secret"  # noqa: S105
    """It needs a mesh secret that this node does not have."""
    TOO_MUCH = "too-much"
    """It takes more processor time to check than a commit may."""

    @classmethod
    def _missing_(cls, value: object) -> Cause:  # noqa: ARG003
        """What another version wrote."""
        return cls.OTHER


class Refused(MeshSyncError):
    """A commit this node does not accept, with the findings that say why.

    ``lasting``: looking at the same commit again would say the same.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        findings: Sequence[Finding] = (),
        hint: str = "",
        lasting: bool = True,
        cause: Cause = Cause.OTHER,
    ) -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)
        self.lasting = lasting
        self.cause = cause


class RolledBack(MeshSyncError):
    """A commit under which nothing was alive any more; what was there before is back."""

    exit_code = 5


class DeviceError(MeshSyncError):
    """The kernel, or a file of this machine, did not take a change."""

    exit_code = 6


class Locked(MeshSyncError):
    """Another run is changing the same interface."""

    exit_code = 7


class Reason(Enum):
    """Why an external program failed."""

    NOT_FOUND = auto()
    NOT_STARTED = auto()
    DEADLINE = auto()
    """It was ended after the time its caller allows."""
    TOO_MUCH_OUTPUT = auto()
    """It was ended after printing more than its caller allows."""
    SIGNAL = auto()
    """Another process, or the kernel, ended it."""
    EXIT_STATUS = auto()
    """It ended by itself, with a status other than 0."""
    BAD_OUTPUT = auto()
    """It printed something other than what it was asked for."""


class CommandError(MeshSyncError):
    """An external program failed, was not found, or missed its deadline.

    ``message`` names the program and what it printed on stderr; its input is never part of it. ``status`` is the exit
    status, or the number of the signal that ended it; 0 where `reason` is another. ``stdout`` is kept only where the
    caller asked for it.
    """

    exit_code = 6

    def __init__(
        self, message: str, *, program: str, reason: Reason, status: int = 0, stderr: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.program = program
        self.reason = reason
        self.status = status
        self.stderr = stderr
        self.stdout = ""

    def says(self, *phrases: str) -> bool:
        """Whether the program printed one of these on stderr, where its exit status tells too little."""
        return any(phrase in self.stderr for phrase in phrases)
