"""`script/demo --web`: the reference mesh with the operator's page on it, until Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.waiting import until
from unit.web_page import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).parents[2] / "script/demo.py"
SOON = 300


def test_the_page_of_the_demo_asks_the_nodes_changes_them_and_goes_with_ctrl_c() -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "--web"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as demo:
        try:
            said, found = "", None
            assert demo.stdout is not None
            for line in demo.stdout:
                said += line
                if found := re.search(r"asks for this code once: (\S+)", line):
                    break
            assert found, said
            page = Running(demo, re.findall(r"http://\S+/", said)[-1].rstrip(";"), found[1]).enter()
            until(lambda: "4 up to date" in page.ask("/").shown, SOON, what=lambda: page.ask("/").shown)
            was = re.findall(r'name="was" value="(\w+)"', page.ask("/peer/gcp/edit?toml").text)[0]
            text = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page.ask("/peer/gcp/edit?toml").text, re.DOTALL)[0]
            text = text.replace("&#34;", '"') + "mtu = 1400\n"
            page.follow(page.ask("/peer/gcp/edit?toml", {"was": was, "text": text}))
            mark = re.findall(r'name="mark" value="(\w+)"', page.ask("/plan").text)[0]
            page.follow(page.ask("/push", {"mark": mark}))
            until(lambda: "Pushed commit" in page.ask("/quiet/pushing").shown, SOON)
            until(lambda: "4 up to date" in page.ask("/quiet/pushing").shown, SOON)
        finally:
            demo.send_signal(signal.SIGINT)
            assert demo.wait(120) == 0
