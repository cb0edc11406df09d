"""What `mesh-sync doctor` looks at: a check is a function from a subject to what was seen."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from mesh_sync.diagnose.trouble import ERROR, Trouble
from mesh_sync.node.clock import Clock
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import Live


@frozen
class Subject:
    """The node, as every check is given it. ``desired``: of the applied state, with what node.toml adds; ``live``: None
    when there is no interface, or this process may not read it (``is_root`` is false then).
    """

    node: Node
    state: State
    desired: Desired | None
    live: Live | None
    clock: Clock
    is_root: bool


@frozen
class Seen:
    """What a check found: sentences of what is so, and what is wrong. ``skipped``: why it could not look."""

    facts: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    skipped: str = ""

    @property
    def result(self) -> str:
        """`error`, `warning`, `skipped` or `ok`."""
        if self.troubles:
            return max((trouble.severity for trouble in self.troubles), key=lambda severity: severity == ERROR)
        return "skipped" if self.skipped else "ok"


@frozen
class Check:
    """``deadline``: seconds. ``needs``: `root` and `applied` where it cannot look without."""

    name: str
    look: Callable[[Subject], Seen]
    deadline: float = 10.0
    needs: frozenset[str] = frozenset({"root", "applied"})

    def missing(self, subject: Subject) -> str:
        """Why it cannot look, empty if it can."""
        if "root" in self.needs and not subject.is_root:
            return "only root can check this"
        return "nothing is applied yet: mesh-sync now" if "applied" in self.needs and not subject.desired else ""
