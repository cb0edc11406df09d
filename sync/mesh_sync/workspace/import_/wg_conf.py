"""The text of a wg-quick file (wg-quick(8)) as sections with their settings and comments. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import field, frozen

_EXPLICIT = re.compile(r"(?i)(?:friendly[_ -]?name|begin_peer|name|client|peer|node|host)\b\s*[:=]?\s*(\S.*)")
_SETTING = re.compile(r"(?i)(?:allowedips|address|dns|endpoint|fwmark|listenport|mtu|persistentkeepalive|table|"
                      r"p(?:re|ost)(?:up|down)|(?:private|public|preshared)key|saveconfig)\s*=")  # fmt: skip
KEYS = {
    "[interface]": re.compile("privatekey|listenport|fwmark|address|dns|mtu|table|p(re|ost)(up|down)|saveconfig"),
    "[peer]": re.compile("publickey|presharedkey|allowedips|endpoint|persistentkeepalive"),
}
"""The settings of each section: wg(8) and wg-quick(8)."""
_AMNEZIA = re.compile(r"j(?:c|min|max)|[shi][1-5]")
MAX_WORDS, MAX_LENGTH = 3, 40
"""A comment that is longer describes a peer, and does not name it."""


@frozen
class Section:
    """``[Interface]`` or one ``[Peer]``: values by lower-case key in the order of the file, and what comments say."""

    settings: dict[str, list[str]] = field(factory=dict)
    comments: list[str] = field(factory=list)

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
    """A whole file, and a sentence for each thing that is not wg-quick's."""

    interface: Section
    peers: tuple[Section, ...]
    odd: tuple[str, ...]


def parse(text: str) -> Conf:
    """Given the text of a file, return its sections. Never fails: what it cannot read is in ``odd``.

    A comment belongs to the section that it stands in before any setting, or to the one that follows it.
    """
    interface, peers = Section(), list[Section]()
    section, header, above = interface, "[interface]", list[str]()
    odd, unknown = list[str](), dict[str, None]()
    for number, line in enumerate(text.splitlines(), start=1):
        code, mark, comment = (part.strip() for part in line.partition("#"))
        key, equals, value = (part.strip() for part in code.partition("="))
        if mark and not code:
            comment = comment.strip("# ")
            if comment and not _SETTING.match(comment) and not comment.lower().startswith("end"):
                (above if section.settings else section.comments).append(comment)
            continue
        if code.startswith("["):
            header = "".join(code.lower().split())
            if header == "[peer]":
                peers.append(section := Section(comments=above))
            elif header == "[interface]":
                section = interface
                section.comments.extend(above)
            else:
                section = Section()
                odd.append(f"line {number}: {code} is no section of wg-quick: left out, with all that it holds")
        elif equals and key:
            section.settings.setdefault(key.lower(), []).append(value)
            if header in KEYS and not KEYS[header].fullmatch(key.lower()):
                unknown[key] = None
        elif code:
            odd.append(f"line {number} is not a setting of wg-quick: left out")
            continue
        above = []
    odd += _not_wireguards(list(unknown))
    return Conf(interface, tuple(peers), tuple(odd))


def _not_wireguards(keys: Sequence[str]) -> Iterator[str]:
    amnezia = [key for key in keys if _AMNEZIA.fullmatch(key.lower())]
    if amnezia:
        why = "settings of AmneziaWG, and plain WireGuard does not reach a peer that needs them"
        yield f"{', '.join(amnezia)}: left out, {why}"
    if others := [key for key in keys if key not in amnezia]:
        yield f"{', '.join(others)}: left out, not among the settings of wg-quick in that section"
