"""The bytes of a file to TOML or JSON: the one place where either is parsed. Pure.

The files of a mesh repository are written by strangers: whatever they hold, there is a table or a `Wrong`.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from mesh_sync.typed_toml.fields import control
from mesh_sync.typed_toml.table import Wrong

MAX_DOTS = 32
"""Dots on one line, outside quotes and comments; no file of the mesh has more than a few."""
_QUOTED = r"""(?sx)
    \"\"\" (?: [^"\\] | \\.? | "(?!"") )* (?: "{3,5} )?
    | ''' (?: [^'] | '(?!'') )* (?: '{3,5} )?
    | " (?: [^"\\\n] | \\[^\n]? )* "?
    | ' [^'\n]* '?
    | \# [^\n]*
    """
"""Compiled when needed. No possessive quantifiers: those of Python 3.11.2 (Debian 12) lose matches."""
_WORDS = r'"[^"\\\x00-\x1f\x7f]*"'
_LINE = rf"(?m)^([a-z_]+) = ({_WORDS}|\[(?:{_WORDS}(?:, {_WORDS})*)?\]|true|false|0|[1-9][0-9]{{0,8}})\n"
"""A line of TOML whose value is JSON too, and means the same there. Compiled when needed."""


def read_toml(content: bytes) -> dict[str, Any]:
    """What a file of TOML says. Raise Wrong, with one problem that has no key, if it is none."""
    try:
        text = content.decode("utf-8-sig")
        table = _read_plain(text)
        if table is None:
            _refuse_long_keys(text)
            table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start})"
    except RecursionError:
        problem = "is not valid TOML: nested too deep"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not valid TOML: {error}"
    except ValueError:  # int() takes no more than sys.get_int_max_str_digits()
        problem = "holds a number of too many digits"
    else:
        if not (problem := control(text.replace("\r\n", "\n"))):  # perhaps in a comment
            return table
    raise Wrong(problem)


def read_json(content: bytes) -> Any:
    """What a file of JSON says. Raise Wrong, with one problem that has no key, if it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"is not valid JSON: {error}") from None


def _read_plain(text: str) -> dict[str, Any] | None:
    """What a file says of which every line is a plain one, as nearly all of thousands are: many times as fast as
    tomllib. None for any other, and for one that tomllib has something to say about.
    """
    if "\n[" in text:  # tables, as in the configuration
        return None
    found = re.findall(_LINE, text)
    if sum([len(key) + len(value) + len(" = \n") for key, value in found]) != len(text):
        return None
    table: dict[str, Any] = json.loads("{" + ",".join([f'"{key}":{value}' for key, value in found]) + "}")
    return table if len(table) == len(found) else None


def _refuse_long_keys(text: str) -> None:
    """A key of thousands of parts would keep tomllib busy for half a minute: its time grows with their square."""
    if text.count(".") <= MAX_DOTS:
        return
    if any(line.count(".") > MAX_DOTS for line in re.sub(_QUOTED, "_", text).split("\n")):
        raise tomllib.TOMLDecodeError(f"a line has more than {MAX_DOTS} dots outside quotes")
