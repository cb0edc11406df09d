"""The page's own words are there in every language, with the same values to fill in."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from mesh_sync.errors import Cause
from mesh_sync.fleet.verify import Doubt, Signature
from mesh_sync.invitation.answer import State
from mesh_sync.mesh.edit_toml import KEYS
from mesh_sync.web.peer_form import GROUPS, SWITCHES
from mesh_sync.web.peer_table import SORTS
from mesh_sync.web.secrets_page import Applied
from mesh_sync.web.texts import CATALOGUES, NAMES, TAGS, Texts, preferred
from mesh_sync.workspace.fleet_now import Now, Taken
from mesh_sync.workspace.graph import NATS
from mesh_sync.workspace.pairs import How
from mesh_sync.workspace.plan_markdown import KINDS
from mesh_sync.workspace.publish import Step
from mesh_sync.workspace.sealed_files import Holding
from mesh_sync.workspace.secret_state import Stage

WEB = Path(__file__).parents[2] / "sync/mesh_sync/web"
ENGLISH = CATALOGUES["en"]
PLURAL = ".one"
TOGETHER = {
    "cause": [cause.value for cause in Cause if cause.value],
    "column": SORTS,
    "doubt": [doubt.value for doubt in Doubt],
    "group": GROUPS,
    "guard": ["removed-peers", "empty-list", "remove", "re-key", "all-endpoints"],
    "guest": ["not-asked", "by-hand", "in-plan", "listed", "forged", *get_args(State)],
    "holding": [holding.value for holding in Holding if holding is not Holding.SEALED],
    "how": [how.value for how in How],
    "key": KEYS,
    "kind": KINDS,
    "legend": ["fixed", "named", "hidden", "hidden-unmanaged", "off", "relay", "never"],
    "nav": ["mesh", "new", "invite", "settings", "plan", "signers", "history"],
    "nat": NATS,
    "now": [*(now.value for now in Now), "unknown"],
    "secret": [stage.value for stage in Stage],
    "secret-applied": [applied.value for applied in Applied],
    "secret-next": [stage.value for stage in Stage],
    "signature": [signature.value for signature in Signature],
    "state": ["in-the-mesh", "unmanaged", "disabled", "expired", "cut-off", "unreadable"],
    "step": [step.value for step in Step],
    "switch": SWITCHES,
    "taken": [taken.value for taken in Taken],
    "unseen": ["live", "own", "names", "host", "signature"],
    "why": [how.value for how in How],
}
"""Keys that templates put together: how they begin, and how they go on."""


def values(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_language_has_every_key(language: str) -> None:
    found = CATALOGUES[language]
    singular = {key for key in ENGLISH if key.endswith(PLURAL)}
    assert found.keys() | singular == set(ENGLISH), "Chinese has no plural"
    assert not [key for key, text in found.items() if not text.strip()]
    for key, text in found.items():
        assert values(text) == values(ENGLISH[key]), key
    assert language in NAMES
    assert language in TAGS


def test_chinese_is_chinese() -> None:
    latin = [key for key, text in CATALOGUES["zh"].items() if not re.search("[\u4e00-\u9fff：]", text)]
    assert not latin
    assert not [key for key, text in CATALOGUES["zh"].items() if re.search("[\u4e00-\u9fff][,:;?!]", text)]


def test_every_text_that_a_page_asks_for_is_there_and_none_is_left_over() -> None:
    sources = [path.read_text() for path in [*WEB.rglob("*.html"), *WEB.rglob("*.py")] if path.parent.name != "texts"]
    asked = {key for text in sources for key in re.findall(r"""\bt\(\s*["']([\w.-]+)["']\s*[,)]""", text)}
    assert len(asked) > 20
    assert not asked - ENGLISH.keys()
    left = {key for key in ENGLISH if not key.endswith(PLURAL) and key.partition(".")[0] not in TOGETHER} - asked
    assert not left


def test_every_key_that_is_put_together_has_a_text() -> None:
    there = {f"{begin}.{end}" for begin, ends in TOGETHER.items() for end in ends}
    found = {key for key in ENGLISH if "." in key and key.partition(".")[0] in TOGETHER and not key.endswith(PLURAL)}
    assert found == there


def test_a_count_of_one_has_words_of_its_own() -> None:
    assert Texts("en")("findings.warnings", n=1) == "check has a warning"
    assert Texts("en")("findings.warnings", n=2) == "check has 2 warnings"
    assert Texts("zh")("findings.warnings", n=1) == "check 有 1 条警告"


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de,zh;q=0.5", "zh"), ("en;q=0.5,zh;q=0.9", "zh"),
        ("de", "en"), ("zh;q=x", "en"), ("\x00" * 5000, "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_browsers_choice(accept: str, language: str) -> None:
    assert preferred(accept) == language
