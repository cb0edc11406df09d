"""`mesh-sync import` of what wg-meshconf itself makes, here and now: its database, and the files that it generates.

It is a development dependency of this project, in the version whose recorded output is in `data/import`.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.wireguard import keys
from unit.imported import DATA, notes, peers, rendered, tunnels

TOOL = Path(sys.executable).with_name("wg-meshconf")
MASQUERADE = "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"
PEERS = {
    "aws": ("10.1.0.1", "--endpoint", "aws.example.com", "--allowedips", "192.168.10.0/24", "--postup", MASQUERADE),
    "azure": ("10.1.0.2/32,fd00:1::2/128", "--endpoint", "203.0.113.2", "--listenport", "51821", "--mtu", "1400"),
    "Home NAS": ("10.1.0.3/32", "--allowedips", "192.168.30.1/24,10.1.0.33/32", "--persistentkeepalive", "25"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a database of its own, and in `output` the files for the machines."""
    place = tmp_path_factory.mktemp("wg-meshconf")

    def run(*words: str) -> None:
        done = subprocess.run([TOOL, *words], cwd=place, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run("init")
    for name, (address, *options) in PEERS.items():
        run("addpeer", name, "--address", address, *options)
    run("genconfig")
    return place


def test_the_recorded_database_is_of_the_same_kind(made: Path) -> None:
    files = (made / "database.csv", DATA / "wg-meshconf.csv")
    own, recorded = (next(csv.reader(file.read_text().splitlines())) for file in files)
    assert own == recorded


@pytest.mark.parametrize(("source", "path"), [("wg-meshconf", "database.csv"), ("wg-quick", "output")])
def test_each_machine_gets_the_tunnels_of_its_file(source: str, path: str, made: Path, tmp_path: Path) -> None:
    said = notes(mesh_sync("import", source, made / path, tmp_path / "mesh"))
    named = {peer["public_key"]: name for name, peer in peers(tmp_path / "mesh").items()}
    assert set(named.values()) == {"aws", "azure", "home-nas"}
    for file in (made / "output").glob("*.conf"):
        text = file.read_text()
        private = next(line.split()[-1] for line in text.splitlines() if line.startswith("PrivateKey"))
        assert rendered(tmp_path / "mesh", named[keys.public_key(private)]) == tunnels(text)
    assert [line for line in said if line.startswith("aws: its PostUp masquerades on eth0: `mesh-sync join … --mas")]
