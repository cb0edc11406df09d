"""Every shell script of the project passes shellcheck."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CANDIDATES = [
    *(path for folder in ("script", "packaging", "packaging/debian") for path in (ROOT / folder).iterdir()),
    ROOT / ".ci/run",
    ROOT / "mesh-repo-template/hooks/pre-receive",
]
SCRIPTS = sorted(path for path in CANDIDATES if path.is_file() and path.read_bytes().split(b"\n")[0].endswith(b"sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    result = subprocess.run([shellcheck, script], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
