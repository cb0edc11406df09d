"""How a page's commands are found, and what it means that output is as the page shows it."""

from __future__ import annotations

import pytest

from lab.story import Block, blocks, shows

PAGE = """\
# Page

## First

```sh on=aws
# a comment of the script
mesh-sync now
```

```text
applied …
```

```sh
never run
```

## Second

```sh on=alice,aws exit=4
false
```

```toml
name = "aws"
```
"""


def test_marked_blocks_are_run_each_below_its_heading() -> None:
    assert blocks(PAGE) == [
        Block("First", 5, ("aws",), 0, "# a comment of the script\nmesh-sync now\n", "applied …\n"),
        Block("Second", 20, ("alice", "aws"), 4, "false\n", None),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n…\n", "a\nb\nc\n", True),
        ("a\n…\n", "a\n", True),
        ("…\nb\n", "a\nc\nb\n", True),
        ("…\nb\n", "a\nb\nc\n", False),
        ("a … (c)\n", "a is b (c)\n", True),
        ("a … c\n", "a\nb c\n", False),
        ("a.c\n", "abc\n", False),
        ("a\n", "a", True),
        ("a   b\n", "a\tb\t\n", True),
        ("ab\n", "a b\n", False),
    ],
)
def test_what_is_shown_is_what_is_printed_but_for_what_is_left_out(shown: str, printed: str, same: bool) -> None:
    assert shows(shown, printed) is same
