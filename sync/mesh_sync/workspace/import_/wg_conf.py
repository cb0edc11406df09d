"""The text of a wg-quick file (wg-quick(8)) as sections with their settings and comments. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from attrs import field, frozen

_EXPLICIT = re.compile(r"(?i)(?:friendly[_ -]?name|begin_peer|name|client|peer|node|host)\b\s*[:=]?\s*(\S.*)")
_BLOCK = re.compile(r"(?i)#+ *(begin|end) +([^\s#]+) *#+")
"""pivpn's marks around a client."""
_DISABLED = "#[disabled] "
"""How pivpn starts each line of a client that is disabled."""
_ID = re.compile(r"(?i)\((?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)$")
"""wg-easy writes it after a client's name."""
_JSON = re.compile(r"(?i)friendly_json *= *(\{.*\})")
_JSON_NAMES = ("name", "username", "user_name", "friendly_name")
_END = re.compile(r"(?i)end(_|\b)")
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
    disabled: bool = False
    """Whether pivpn has disabled it: it is in the file, and not in the tunnel."""

    def one(self, key: str) -> str:
        """The last value of a key, as wg takes it; empty when it is not there."""
        values = self.settings.get(key.lower())
        return values[-1] if values else ""

    def whole(self, key: str) -> str:
        """All values of a key, a line each."""
        return "\n".join(self.settings.get(key.lower(), ()))

    def many(self, key: str) -> list[str]:
        """A list that may be spread over several lines."""
        texts = ",".join(self.settings.get(key.lower(), ())).split(",")
        return [text.strip() for text in texts if text.strip()]

    @property
    def name(self) -> str:
        """What the comments at its head call it.

        ``# Name = aws``, ``### begin aws ###``, ``# Client: aws (id)``, ``# friendly_json={"name": "aws"}``, ``# aws``.
        """
        plain = ""
        for comment in self.comments:
            if match := _JSON.fullmatch(comment):
                if name := _name_in(match[1]):
                    return name
                continue
            words = comment.partition(" / ")[0].strip()
            if match := _EXPLICIT.fullmatch(words):
                name = match[1].strip(" =:")
                return _ID.sub("", name).strip() if words.lower().startswith("client:") else name
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
    for number, written in enumerate(text.splitlines(), start=1):
        line = written.removeprefix(_DISABLED)
        code, mark, comment = (part.strip() for part in line.partition("#"))
        key, equals, value = (part.strip() for part in code.partition("="))
        if mark and not code:
            said = above if section.settings else section.comments
            block, comment = _BLOCK.fullmatch(line.strip()), comment.strip("# ")
            if comment.lower() == "[peer]":
                said.clear()
                odd.append(f"line {number}: a [Peer] that is commented out is left out")
            elif block:
                above[:] = [f"name: {block[2]}"] if block[1].lower() == "begin" else []
            elif comment and not _SETTING.match(comment) and not _END.match(comment):
                said.append(comment)
            continue
        if code.startswith("["):
            header = "".join(code.lower().split())
            beside = [comment] if comment else []
            if header == "[peer]":
                peers.append(section := Section(comments=above + beside, disabled=line != written))
            elif header == "[interface]":
                section = interface
                section.comments.extend(above + beside)
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


def _name_in(text: str) -> str:
    """The name in an object of JSON, whose quotes may be escaped; empty if there is none."""
    for form in (text, text.replace('\\"', '"')):
        try:
            found = json.loads(form)
        except (ValueError, RecursionError):
            continue
        return next((str(found[key]) for key in _JSON_NAMES if found.get(key)), "")
    return ""


def _not_wireguards(keys: Sequence[str]) -> Iterator[str]:
    amnezia = [key for key in keys if _AMNEZIA.fullmatch(key.lower())]
    if amnezia:
        why = "settings of AmneziaWG, and plain WireGuard does not reach a peer that needs them"
        yield f"{', '.join(amnezia)}: left out, {why}"
    if others := [key for key in keys if key not in amnezia]:
        yield f"{', '.join(others)}: left out, not among the settings of wg-quick in that section"
