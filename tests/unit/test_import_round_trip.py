"""`mesh-sync import`, there and back: what each node then renders holds the same tunnels as the file that it had.

`full-mesh` is the four files of icloudnative.io's article on full meshes, with other keys; `wg-meshconf-sites` is what
wg-meshconf 2.5.1 made.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.wireguard import keys
from unit.imported import DATA, notes, peers, rendered, tunnels

ME, SITE, PHONE = (keys.generate() for _ in range(3))
A, B = keys.public_key(SITE), keys.public_key(PHONE)
INTERFACE = f"[Interface]\nPrivateKey = {ME}\nAddress = 10.1.0.1/24\nListenPort = 51820\n"
AT_A = f"[Peer]\nPublicKey = {A}\nEndpoint = 203.0.113.2:51820\n"
AT_B = f"[Peer]\nPublicKey = {B}\nEndpoint = b.example.org:51821\nAllowedIPs = 10.1.0.3/32\n"


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    return tmp_path / "mesh"


@pytest.mark.parametrize("directory", ["full-mesh", "wg-meshconf-sites"])
def test_a_full_mesh_keeps_its_tunnels(directory: str, mesh: Path) -> None:
    mesh_sync("import", "wg-quick", DATA / directory, mesh).fine()
    named = {peer["public_key"]: name for name, peer in peers(mesh).items()}
    files = list((DATA / directory).glob("*.conf"))
    assert len(files) == len(named) == 4
    for file in files:
        text = file.read_text()
        private = next(line.split()[-1] for line in text.splitlines() if line.startswith("PrivateKey"))
        assert rendered(mesh, named[keys.public_key(private)]) == tunnels(text)


def test_the_database_of_wg_meshconf_gives_the_same_tunnels(mesh: Path) -> None:
    mesh_sync("import", "wg-meshconf", DATA / "wg-meshconf-sites.csv", mesh).fine()
    for file in (DATA / "wg-meshconf-sites").glob("*.conf"):
        assert rendered(mesh, file.stem.lower()) == tunnels(file.read_text())


ODD = {
    "host bits": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.10.1/24, 10.1.0.22/32\n" + AT_B,
    "host bits of IPv6": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 2001:db8:5::1/64, fd00:7::9/128\n",
    "no prefix": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2, 192.168.7.9\n" + AT_B,
    "several lines": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32\nAllowedIPs = 192.168.10.0/24,\t172.16.0.0/12\n",
    "no spaces": (INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.10.0/24\n" + AT_B).replace(" = ", "="),
    "lower case": INTERFACE.lower().replace(ME.lower(), ME)
    + f"[peer]\npublickey = {A}\nendpoint = 203.0.113.2:51820\nallowedips = 10.1.0.2/32\n",
    "upper case": INTERFACE + AT_A.replace("[Peer]", "[PEER]") + "ALLOWEDIPS = 10.1.0.2/32, FD00:5::/64\n",
    "comments": INTERFACE + AT_A + "# AllowedIPs = 10.9.0.0/16\nAllowedIPs = 10.1.0.2/32 # home = not work\n",
    "carriage returns": (INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.10.0/24\n" + AT_B).replace("\n", "\r\n"),
    "peers above": AT_B + AT_A + "AllowedIPs = 10.1.0.2/32\n" + INTERFACE,
    "no end of line": INTERFACE + AT_B + AT_A + "AllowedIPs = 10.1.0.2/32",
    "one key twice": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32\n" + AT_B + AT_A + "AllowedIPs = 192.168.10.0/24\n",
    "one network twice": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.10.0/24, 192.168.10.7/24\n" + AT_B,
    "a network within another": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.0.0/16, 192.168.10.0/24\n",
    "networks of two": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.128.0/17\n"
    + AT_B.replace("10.1.0.3/32", "10.1.0.3/32, 192.168.0.0/17"),
    "a network in two sections": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.10.1/24\n"
    + AT_B.replace("10.1.0.3/32", "10.1.0.3/32, 192.168.10.2/24"),
    "two addresses": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 10.1.0.200/32, 10.1.0.201/32\n" + AT_B,
    "a single address elsewhere": INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 172.16.5.9/32\n" + AT_B,
    "only single addresses": INTERFACE.replace("/24", "/32") + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.10.1/24\n",
    "both families": INTERFACE.replace("10.1.0.1/24", "10.1.0.1/24, fd00:1::1/64")
    + AT_A + "AllowedIPs = 10.1.0.2/32, fd00:1::2/128, fd00:1::22/128, fd00:2::/64\n" + AT_B,
    "addresses on two lines": INTERFACE + "Address = fd00:1::1/64\n" + AT_A + "AllowedIPs = fd00:1::2/128, 10.1.0.2\n",
    "a network of its own": INTERFACE.replace("10.1.0.1/24", "10.1.0.1/24, 192.168.1.0/24")
    + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.2.1/24\n" + AT_B,
    "a wide mesh": INTERFACE.replace("/24", "/8") + AT_A + "AllowedIPs = 10.77.0.2/32, 192.168.10.1/30\n" + AT_B,
    "no prefix of the node's": INTERFACE.replace("/24", "") + AT_A + "AllowedIPs = 10.1.0.2/32, 10.2.0.1/16\n" + AT_B,
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_file_keeps_its_tunnels(odd: str, mesh: Path, tmp_path: Path) -> None:
    (tmp_path / "me.conf").write_bytes(ODD[odd].encode())
    mesh_sync("import", "wg-quick", tmp_path / "me.conf", mesh).fine()
    assert rendered(mesh, "me") == tunnels(ODD[odd])


def test_an_address_in_two_sections_is_the_last_ones_and_that_is_said(mesh: Path, tmp_path: Path) -> None:
    (tmp_path / "me.conf").write_text(INTERFACE + AT_A + "AllowedIPs = 10.1.0.3/32\n" + AT_B)
    said = notes(mesh_sync("import", "wg-quick", tmp_path / "me.conf", mesh))
    assert {peer["public_key"] for peer in peers(mesh).values()} == {keys.public_key(ME), B}
    assert any(
        f"AllowedIPs of {A}: 10.1.0.3/32 is in two sections; wg gives it to the last, {B}" in one for one in said
    )


def test_host_bits_mean_the_network_and_further_addresses_are_kept(mesh: Path, tmp_path: Path) -> None:
    (tmp_path / "me.conf").write_text(ODD["host bits"])
    (tmp_path / "site.conf").write_text(f"[Interface]\nPrivateKey = {SITE}\nAddress = 10.1.0.2/24\n")
    mesh_sync("import", "wg-quick", tmp_path, mesh).fine()
    site = peers(mesh)["site"]
    assert (site["addresses"], site["subnets"]) == (["10.1.0.2", "10.1.0.22"], ["192.168.10.0/24"])
    assert 'networks = ["10.1.0.0/24"]' in (mesh / "mesh.toml").read_text()


def test_of_what_wg_showconf_prints_the_peers_are_imported(mesh: Path, tmp_path: Path) -> None:
    """It has no Address, so the node itself cannot be; nor is it anybody's relay then."""
    head = f"[Interface]\nListenPort = 51820\nFwMark = 0xca6c\nPrivateKey = {ME}\n\n"
    last = f"[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.3/32\n"
    (tmp_path / "me.conf").write_text(head + AT_A + "AllowedIPs = 10.1.0.2/32, 192.168.10.0/24\n\n" + last)
    ended = mesh_sync("import", "wg-quick", tmp_path / "me.conf", mesh)
    assert {peer["public_key"]: peer.get("subnets") for peer in peers(mesh).values()} == {
        A: ["192.168.10.0/24"],
        B: None,
    }
    why = "left out, nothing says which of the mesh's addresses it has"
    assert f"me: {why}; its file needs an Address, which `wg showconf` does not print" in notes(ended)


def test_so_it_is_in_a_database_of_wg_meshconf(mesh: Path, tmp_path: Path) -> None:
    rows = [
        f"site,10.1.0.2/24,{SITE},'192.168.10.1/24,10.1.0.22,10.0.0.0/8',203.0.113.2",
        f"me,10.1.0.1/24,{ME},,",
    ]
    text = "Name,Address,PrivateKey,AllowedIPs,Endpoint\n" + "\n".join(rows) + "\n"
    (tmp_path / "database.csv").write_text(text.replace("'", '"'))
    said = notes(mesh_sync("import", "wg-meshconf", tmp_path, mesh))
    site = peers(mesh)["site"]
    assert (site["addresses"], site["subnets"]) == (["10.1.0.2", "10.1.0.22"], ["192.168.10.0/24"])
    assert len([note for note in said if "10.0.0.0/8 lies around the mesh's own 10.1.0.0/24" in note]) == 1


def test_a_network_around_the_mesh_is_left_out_and_said(mesh: Path, tmp_path: Path) -> None:
    (tmp_path / "me.conf").write_text(INTERFACE + AT_A + "AllowedIPs = 10.1.0.2/32, 10.0.0.0/8\n" + AT_B)
    ended = mesh_sync("import", "wg-quick", tmp_path / "me.conf", mesh)
    said = [note for note in notes(ended) if "10.0.0.0/8" in note]
    assert len(said) == 1
    assert "lies around the mesh's own 10.1.0.0/24: left out" in said[0]
