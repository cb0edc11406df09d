"""Every fuzz target works, and stands some of what strangers might write; `script/fuzz` gives it longer."""

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


def test_all_targets_stand_some_nonsense() -> None:
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    argv = [sys.executable, "-m", "fuzz", "all", "1", "500"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=110)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    executed = re.findall(r"number_of_executed_units: +(\d+)", said)
    assert re.findall(r"(?m)^target: (.*)$", said) == list(TARGETS)
    assert len(executed) == len(TARGETS)
    assert min(map(int, executed)) > 5
