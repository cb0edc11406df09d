"""The text of a wg-quick file (wg-quick(8)) as sections with their settings and comments. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attrs import frozen

_EXPLICIT = re.compile(r"(?i)(?:friendly[_ -]?name|begin_peer|name|client|peer|node|host)\b\s*[:=]?\s*(\S.*)")
_SETTING = re.compile(r"(?i)(?:allowedips|address|dns|endpoint|fwmark|listenport|mtu|persistentkeepalive|table|"
                      r"p(?:re|ost)(?:up|down)|(?:private|public|preshared)key|saveconfig)\s*=")  # fmt: skip
MAX_WORDS, MAX_LENGTH = 3, 40
"""A comment that is longer describes a peer, and does not name it."""


@frozen
class Section:
    """``[Interface]`` or one ``[Peer]``: values by lower-case key in the order of the file, and what comments say."""

    settings: Mapping[str, Sequence[str]]
    comments: Sequence[str] = ()

    def one(self, key: str) -> str:
        """The last value of a key, as wg takes it; empty when it is not there."""
        values = self.settings.get(key.lower())
        return values[-1] if values else ""

    def many(self, key: str) -> list[str]:
        """A list that may be spread over several lines."""
        texts = ",".join(self.settings.get(key.lower(), ())).split(",")
        return [text.strip() for text in texts if text.strip()]

    @property
    def name(self) -> str:
        """What the comments at its head call it: ``# Name = aws``, ``# BEGIN_PEER aws``, or just ``# aws``."""
        plain = ""
        for comment in self.comments:
            words = comment.partition(" / ")[0].strip()
            if match := _EXPLICIT.fullmatch(words):
                return match[1].strip(" =:")
            if not plain and len(words) <= MAX_LENGTH and 0 < len(words.split()) <= MAX_WORDS:
                plain = words
        return plain


@frozen
class Conf:
    """A whole file, and the numbers of the lines that are not wg-quick syntax."""

    interface: Section
    peers: tuple[Section, ...]
    odd: tuple[int, ...]


def parse(text: str) -> Conf:
    """Given the text of a file, return its sections. Never fails: what it cannot read is in ``odd``."""
    interface: dict[str, list[str]] = {}
    about: list[str] = []
    peers: list[tuple[dict[str, list[str]], list[str]]] = []
    settings, comments = interface, about
    above: list[str] = []
    odd: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        code, mark, comment = (part.strip() for part in line.partition("#"))
        key, equals, value = (part.strip() for part in code.partition("="))
        if mark and not code:
            _collect(comment.strip("# "), above, None if settings else comments)
        elif code.lower() == "[peer]":
            settings, comments = {}, above
            peers.append((settings, comments))
            above = []
        elif code.lower() == "[interface]":
            settings, comments = interface, about
            about += above
            above = []
        elif equals and key:
            settings.setdefault(key.lower(), []).append(value)
            above = []
        elif code:
            odd.append(number)
        else:
            above = []
    return Conf(Section(interface, about), tuple(Section(*peer) for peer in peers), tuple(odd))


def _collect(comment: str, above: list[str], inside: list[str] | None) -> None:
    """A comment belongs to the section that it stands in before any setting, or to the one that follows it."""
    if not comment or _SETTING.match(comment) or comment.lower().startswith("end"):
        return
    (above if inside is None else inside).append(comment)
