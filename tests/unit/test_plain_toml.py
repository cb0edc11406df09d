"""TOML that is made to keep a reader busy is told from TOML that merely has many dots."""

from __future__ import annotations

import time

import pytest

from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong

MANY = "a." * 32_000


@pytest.mark.parametrize(
    "text",
    [
        f"{MANY}a = 1",
        f"[{MANY}a]",
        f"x = {{ {MANY}a = 1 }}",
        f'x = ["""a"""", {{ {MANY}a = 1 }}]',
        f"x = ['''a''''', {{ {MANY}a = 1 }}]",
        f'x = "\\""\n{MANY}a = 1',
        f'x = 1 # "\n{MANY}a = 1',
        '"a".' * 10_000 + "a = 1",
        "x = " + '"""' + '\\"""' * 15_000 + f"\\\n{MANY}",
    ],
)
def test_a_key_of_thousands_of_parts_costs_nothing(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Wrong, match=r"dots outside quotes|not valid TOML"):
        read_toml(text.encode())
    assert time.process_time() - began < 2


@pytest.mark.parametrize("quote", ['"', "'", '"""', "'''"])
def test_dots_in_quotes_and_comments_are_text(quote: str) -> None:
    text = f"x = {quote}{MANY}{quote}  # {MANY}\n"
    assert read_toml(text.encode()) == {"x": MANY}


def test_dots_on_many_lines_are_no_long_key() -> None:
    assert len(read_toml("".join(f"a.b{n} = 1.5\n" for n in range(500)).encode())["a"]) == 500
