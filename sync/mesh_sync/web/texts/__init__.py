"""All that the page says in its own words, by language. What programs and the list say stays in their language."""

from __future__ import annotations

from collections.abc import Mapping

from mesh_sync.web.texts import en, en_access, zh, zh_access

CATALOGUES: Mapping[str, Mapping[str, str]] = {
    "en": {**en.TEXTS, **en_access.TEXTS},
    "zh": {**zh.TEXTS, **zh_access.TEXTS},
}
NAMES = {"en": "English", "zh": "中文"}
TAGS = {"en": "en", "zh": "zh-Hans"}
"""The languages as HTML names them (BCP 47)."""
DEFAULT = "en"


class Texts:
    """One language's texts."""

    def __init__(self, language: str) -> None:
        self.language = language if language in CATALOGUES else DEFAULT
        self.tag = TAGS[self.language]
        self._texts = CATALOGUES[self.language]

    def __call__(self, key: str, **values: object) -> str:
        """The text with values filled in. A count ``n`` of 1 chooses the key that has ``.one`` behind it, if any."""
        if values.get("n") == 1 and f"{key}.one" in self._texts:
            key = f"{key}.one"
        return self._texts[key].format(**values)

    def has(self, key: str) -> bool:
        return key in self._texts


def preferred(accept: str) -> str:
    """The language that a browser asks for first of those that there are (RFC 9110, 12.5.4)."""
    asked: list[tuple[float, str]] = []
    for part in accept.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            asked.append((-float(quality or 1), tag.partition("-")[0].strip().lower()))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(asked, key=lambda each: each[0]) if tag in CATALOGUES), DEFAULT)
