"""Whose SSH keys may sign the commits of a mesh: the repository's `allowed_signers`, or the node's own. Pure.

The format is ssh-keygen's (ssh-keygen(1), ALLOWED SIGNERS), less what hides who is meant: one principal a line, no
patterns, no certificate authorities. A principal `NAME@node.MESH` is the key of the node NAME, good for that node's own
file; every other principal is an admin's, good for everything.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property

from attrs import frozen

from mesh_sync.findings import Finding, shown
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.trust.principals import NODE, mistaken, parts
from mesh_sync.trust.sshsig import strings

NAMESPACE = "git"
"""What git signs for; a line that is limited to other namespaces never counts."""
_KEY_TYPES = re.compile(
    r"ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
_OPTION = re.compile(r'([a-z-]+)(?:="([^"\\]*)")?(?:,(?=.)|$)')
_KNOWN_OPTIONS = frozenset({"namespaces", "valid-after", "valid-before"})
_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
MIN_RSA = 1024
"""Bits; OpenSSH reads no shorter key."""
GROUPS = 8
"""Of four hexadecimal digits each: 128 bits, against second preimages (NIST SP 800-107, 4.2)."""

HEAD = """\
# Whose SSH keys may sign the commits of this mesh; one line each (ssh-keygen(1), ALLOWED SIGNERS).
# NAME@node.MESH is a node's key, good for its own file in peers/; every other is an admin's, good for everything.
# `mesh-sync signer` lists and edits them: add a new admin's key and push, before an old one is removed.
"""


@frozen
class Signer:
    """One line: who, with which key. ``line`` is the line as it was written, for ssh-keygen."""

    principal: str
    key: str
    line: str
    options: str = ""

    @property
    def kind(self) -> str:
        """The type of the key, `ssh-ed25519` for one."""
        return self.key.partition(" ")[0]

    @property
    def valid_after(self) -> datetime | None:
        return self._moment("valid-after")

    @property
    def valid_before(self) -> datetime | None:
        """When the key expires. A date without Z is in each machine's own time zone."""
        return self._moment("valid-before")

    def _moment(self, name: str) -> datetime | None:
        found = next((value for option, value in _OPTION.findall(self.options) if option == name), None)
        return moment_of(found) if found else None

    def problem_at(self, moment: datetime) -> str:
        """Why the key is not valid at ``moment`` (an aware time), as the end of a sentence; empty when it is.

        git has ssh-keygen apply the limits to the commit's own date, which the signer writes: an expired key could go
        on signing commits of last year. So ssh-keygen only sees the lines that are valid by this machine's clock.
        """
        for option, words in _OPTION.findall(self.options):
            if not option.startswith("valid-"):
                continue
            limit = moment_of(words)
            if limit is None:
                return f"has no valid date in {option}: {words!r}"
            if option == "valid-after" and moment < limit:
                return f"is not valid before {words}"
            if option == "valid-before" and moment > limit:
                return f"expired at {words}"
        return ""

    @property
    def is_node(self) -> bool:
        """Whether this is a node's key, of this mesh or of another; such a key never has an admin's rights."""
        return self.principal.partition("@")[2].startswith(NODE)

    def is_of(self, node: str, mesh: str) -> bool:
        """Whether this is the key of the node ``node`` of the mesh ``mesh``."""
        return self.principal == f"{node}@{NODE}{mesh}"

    @property
    def fingerprint(self) -> str:
        return key_fingerprint(self.key)


@frozen
class Signers:
    """All lines of one file, in its order."""

    entries: tuple[Signer, ...] = ()

    @cached_property
    def admins(self) -> tuple[Signer, ...]:
        return tuple(signer for signer in self.entries if not signer.is_node)

    def has_admin_at(self, moment: datetime) -> bool:
        """Whether an admin's key is valid at ``moment``."""
        return any(not signer.problem_at(moment) for signer in self.admins)

    def in_mesh(self, mesh: str) -> Signers:
        """Without the admins whose names could be taken for nodes' of this mesh: such a line allows no key."""
        out = [one for one in self.admins if mistaken(one.principal, mesh)]
        return Signers(tuple(one for one in self.entries if one not in out)) if out else self

    def of(self, node: str, mesh: str) -> tuple[Signer, ...]:
        """The keys of one node."""
        return tuple(signer for signer in self.entries if signer.is_of(node, mesh))


def key_fingerprint(key: str) -> str:
    """Given `TYPE BASE64` of an SSH key, return its fingerprint as `ssh-keygen -l` and git hosts show it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def fingerprint(first_commit: str, signers: Signers) -> str:
    """What identifies a mesh: its first commit and its admins' lines, in groups to be read out on the telephone.

    Nodes' lines do not count, so that it stays the same while nodes come and go: an admin's signature covers them.
    """
    admins = sorted(f"{one.principal} {one.options} {one.key}" for one in signers.admins)
    digest = hashlib.sha256("\n".join(["mesh-sync", first_commit, *admins]).encode()).hexdigest()
    return "-".join(digest[4 * group : 4 * group + 4] for group in range(GROUPS))


def same(fingerprint: str, other: str) -> bool:
    """Whether a person means this fingerprint: case, and how it is grouped, do not count."""
    plain = [re.sub(r"[\s:-]", "", text).lower() for text in (fingerprint, other)]
    return plain[0] == plain[1]


def text(entries: Iterable[Signer]) -> str:
    """A file for ssh-keygen that allows just these."""
    return "".join(f"{signer.line}\n" for signer in entries)


def is_public_key(text: str) -> bool:
    """Whether this is a line such as `ssh-ed25519 AAAA… comment`."""
    words = text.split()
    return len(words) > 1 and _KEY_TYPES.fullmatch(words[0]) is not None and _is_key(*words[:2])


def parse(content: bytes, file: str = SIGNERS_FILE) -> tuple[Signers, tuple[Finding, ...]]:
    """Given the file's bytes, return the signers and everything wrong; ``file`` is for the findings.

    A line that is wrong allows no key.
    """
    try:
        lines = content.decode().split("\n")  # as ssh-keygen does: nothing else ends a line
    except UnicodeDecodeError as error:
        return Signers(), (Finding(file, "", f"is not UTF-8 text (byte {error.start})"),)
    entries: list[Signer] = []
    findings: list[Finding] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            entries.append(_signer(line.replace("\t", " ").strip()))
        except ValueError as error:
            findings.append(Finding(file, f"line {number}", str(error)))
    findings += _twice(entries, file)
    return Signers(tuple(entries)), tuple(findings)


def _signer(line: str) -> Signer:
    if not line.isprintable():
        raise ValueError(f"{shown(line)} has a character that hides what is there")
    principal, _, rest = line.partition(" ")
    parts(principal)
    words = rest.split()
    options = words.pop(0) if words and not _KEY_TYPES.fullmatch(words[0]) else ""
    _check_options(options)
    if not is_public_key(" ".join(words)):
        raise ValueError(f"{shown(principal)} has no SSH public key; write: name@domain [options] TYPE KEY")
    return Signer(principal, " ".join(words[:2]), line, options)


def _check_options(text: str) -> None:
    position = 0
    seen: dict[str, str] = {}
    while position < len(text):
        found = _OPTION.match(text, position)
        if not found or found[1] not in _KNOWN_OPTIONS or found[2] is None:
            allowed = ", ".join(sorted(_KNOWN_OPTIONS))
            raise ValueError(f"{shown(text[position:])} is not one of the options {allowed}")
        if found[1] in seen:
            raise ValueError(f"{found[1]} is given twice")
        seen[found[1]] = found[2]
        if found[1] == "namespaces" and re.search(r"[*?!]", found[2]):
            raise ValueError(f"namespaces: {shown(found[2])} has a pattern; write the names in full")
        if found[1] == "namespaces" and NAMESPACE not in found[2].split(","):
            raise ValueError(f'the key is for the namespaces {shown(found[2])}; commits need "{NAMESPACE}"')
        if found[1].startswith("valid-") and moment_of(found[2]) is None:
            raise ValueError(f"{found[1]}: {shown(found[2])} is not a date such as 20301231Z or 203012311800Z")
        position = found.end()
    after, before = (moment_of(seen.get(name, "")) for name in ("valid-after", "valid-before"))
    if after and before and before <= after:
        raise ValueError("valid-before is not later than valid-after")


def moment_of(words: str) -> datetime | None:
    """The time that ssh-keygen reads in `YYYYMMDD[HHMM[SS]][Z]` (parse_absolute_time of OpenSSH).

    UTC with `Z` or `UTC` at the end, else this machine's time zone. None for anything else, and before 1970.
    """
    digits = re.sub(r"(?i)(z|utc)$", "", words)
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in _FORMATS:
        return None
    try:
        found = datetime.strptime(digits, _FORMATS[len(digits)])
        found = (found.replace(tzinfo=UTC) if digits != words else found).astimezone(UTC)
        return found if found.timestamp() > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _is_key(kind: str, encoded: str) -> bool:
    """Whether ssh-keygen could read the key: all its parts are there, with nothing after them (RFC 4253, 6.6)."""
    try:
        blob = base64.b64decode(encoded, validate=True)
        name, *parts = strings(blob)
    except ValueError:
        return False
    if base64.b64encode(blob).decode() != encoded or name != kind.encode():
        return False
    if kind.startswith("sk-"):
        *parts, application = parts or [b""]
        if not application:
            return False
    if kind == "ssh-rsa":
        positive = all(part and part[0] < 0x80 for part in parts)
        return len(parts) == 2 and positive and int.from_bytes(parts[1], "big").bit_length() >= MIN_RSA
    if "ed25519" in kind:
        return [len(part) for part in parts] == [32]
    curve = kind.partition("nistp")[2].partition("@")[0]
    length = 1 + 2 * -(-int(curve) // 8)  # an uncompressed point (SEC 1, 2.3.3)
    return (
        len(parts) == 2 and parts[0] == b"nistp" + curve.encode() and parts[1][:1] == b"\4" and len(parts[1]) == length
    )


def _twice(entries: list[Signer], file: str) -> Iterator[Finding]:
    seen: dict[str, Signer] = {}
    for signer in entries:
        other = seen.setdefault(signer.key, signer)
        if other is not signer:
            yield Finding(file, "", f"{signer.principal} has the same key as {other.principal}")


def line(principal: str, key: str, valid_before: datetime | None = None) -> str:
    """One line: ``key`` is its type, its base64 and any comment; the moment at which it ends is written in UTC."""
    options = f'namespaces="{NAMESPACE}"'
    if valid_before:
        options += f',valid-before="{valid_before.astimezone(UTC):%Y%m%d%H%M%S}Z"'
    return f"{principal} {options} {key}"


def added(text: str, new: str) -> str:
    """Given the text of the file (empty: there is none yet), return it with the line ``new`` at its end."""
    if not text:
        return f"{HEAD}{new}\n"
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{new}\n"


def renamed(text: str, some: Collection[Signer], principal: str) -> str:
    """Given the text of the file, return it with these signers' lines under another principal."""
    named = {signer.line: signer.principal for signer in some}
    lines = text.split("\n")
    for number, here in enumerate(lines):
        if before := named.get(here.replace("\t", " ").strip()):
            lines[number] = here.replace(before, principal, 1)
    return "\n".join(lines)


def without(text: str, gone: Collection[Signer]) -> str:
    """Given the text of the file, return it without these signers' lines."""
    lines = {signer.line for signer in gone}
    return "\n".join(kept for kept in text.split("\n") if kept.replace("\t", " ").strip() not in lines)
