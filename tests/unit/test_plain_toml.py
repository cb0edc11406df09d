"""TOML that is made to keep a reader busy is told from TOML that merely has many dots; the quick way for plain files
reads them as tomllib does.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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


letters = st.characters(exclude_categories=["C", "Zl"])
words = st.text(letters.filter(lambda letter: letter not in '"\\'))
quoted = words.map(lambda text: f'"{text}"')
values = (
    quoted | st.lists(quoted).map(lambda found: f"[{', '.join(found)}]") | st.sampled_from(["true", "false"])
    | st.integers(0, 10**12).map(str)
)  # fmt: skip
_ODD = ("01", "-1", "+1", "1_0", "0x1", "1.5", "inf", "2027-01-31", "null", "[1, 2]", '["a",]', "'a'", '"""a"""', '"a')
odd = st.sampled_from(_ODD) | st.text(letters, max_size=3)
lines = st.tuples(st.sampled_from(["a", "b_c", "d", "a.b", '"e"']), values | odd).map(" = ".join)


@given(st.lists(st.one_of(lines, st.sampled_from(["", "# a", "[a]", "[[a]]", "a=1"])), max_size=4), st.booleans())
@example(["a = 1", "a = 1"], True)
@example(['a = "\t"'], True)
@example(["a = 1 # b"], True)
def test_plain_lines_are_read_as_any_others(some: list[str], ended: bool) -> None:
    text = "\n".join(some) + "\n" * ended
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(Wrong):
            read_toml(text.encode())
        return
    assert repr(read_toml(text.encode())) == repr(expected)  # 1 is not True


def test_thousands_of_plain_files_take_a_fraction_of_the_time() -> None:
    text = "".join(f'key_{letter} = "{letter * 40}"\n' for letter in "abcdefghij")
    assert _seconds(lambda: read_toml(text.encode())) < _seconds(lambda: tomllib.loads(text)) / 2


def _seconds(work: Callable[[], object]) -> float:
    """The shortest of some runs."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(300):
            work()
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("text", ["a" * 60_000, "a = [" + '"b", ' * 10_000, "a = " * 15_000, '"' * 60_000])
def test_a_file_that_is_nearly_plain_costs_no_more(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Wrong):
        read_toml(text.encode())
    assert time.process_time() - began < 1
