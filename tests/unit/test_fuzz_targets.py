"""Every fuzz target works, and stands a few seconds of what strangers might write; `script/fuzz` gives it longer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_stands_its_own_examples(name: str) -> None:
    for example in TARGETS[name].examples:
        TARGETS[name].eat(example)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_stands_a_few_seconds_of_nonsense(name: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    argv = [sys.executable, "-m", "fuzz", name, "1"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    executed = re.search(r"number_of_executed_units: +(\d+)", done.stdout + done.stderr)
    assert executed
    assert int(executed[1]) > 5
