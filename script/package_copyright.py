"""Prints the copyright file of the Debian package: the project's license, and those of every library and script in it.

Usage: package_copyright.py FOLDER     FOLDER: where pip has installed the libraries
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution
from pathlib import Path

LICENSE = Path(__file__).parents[1] / "LICENSE"
HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: mesh-sync\n"
PLACE = "usr/share/mesh-sync/lib"
STATIC = "mesh_sync/web/static"
SCRIPTS = {"d3": "ISC", "htmx": "0BSD"}
"""What begins the names of scripts of the operator's page that others have written, and their license."""
OWNER = re.compile(r"\W*copyright (\(c\)|©|\d)", re.IGNORECASE)
APACHE = "On Debian systems, the license is in /usr/share/common-licenses/Apache-2.0."


def main() -> int:
    """Print the file. Exit 1 when a library has no license in it."""
    print(HEAD)
    print(_stanza(["*"], "MIT", LICENSE.read_text()))
    static = Path(__file__).parents[1] / "sync" / STATIC
    for name, identifier in SCRIPTS.items():
        files = sorted(f"{PLACE}/{STATIC}/{file.name}" for file in static.glob(f"{name}*.min.js"))
        print(_stanza(files, identifier, (static / f"{name}.LICENSE").read_text()))
    [folder] = map(Path, sys.argv[1:])
    for info in sorted(folder.glob("*.dist-info"), key=lambda path: path.name.lower()):
        if info.name.startswith("mesh_sync-"):
            continue
        texts = [file.read_text() for file in _license_files(info)]
        if not texts:
            print(f"{info.name} has no license file", file=sys.stderr)
            return 1
        found = Distribution.at(info)
        print(_stanza(sorted(_tops(found)), _identifier(found), "\n\n".join(texts)))
    return 0


def _license_files(info: Path) -> list[Path]:
    """What the wheel has of licenses and authors; since metadata 2.4 below ``licenses/``."""
    named = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)", re.IGNORECASE)
    return sorted(path for path in info.rglob("*") if path.is_file() and named.match(path.name))


def _tops(found: Distribution) -> Iterator[str]:
    for top in {path.parts[0] for path in found.files or ()}:
        if ".." not in top and not top.endswith(".dist-info") and top != "__pycache__":
            yield f"{PLACE}/{top}" + ("" if "." in top else "/*")


def _identifier(found: Distribution) -> str:
    """The SPDX expression, or the last words of a classifier such as ``OSI Approved :: MIT License``."""
    known = found.metadata.json
    if expression := known.get("license_expression"):
        return str(expression)
    for classifier in known.get("classifier", ()):
        if classifier.startswith("License ::"):
            return classifier.rpartition(":: ")[2].removesuffix(" License").replace(" ", "-")
    return str(known.get("license", "unknown"))


def _stanza(files: Sequence[str], identifier: str, text: str) -> str:
    owners = sorted({line.strip(" *#") for line in text.splitlines() if OWNER.match(line)})
    if "Apache License" in text:
        text = APACHE
    body = "\n".join(f" {line.rstrip()}" if line.strip() else " ." for line in text.strip().splitlines())
    names = "\n           ".join(re.sub(r"^copyright\s*", "", owner, flags=re.I) for owner in owners)
    return f"Files: {' '.join(files)}\nCopyright: {names or 'its authors'}\nLicense: {identifier}\n{body}\n"


if __name__ == "__main__":
    sys.exit(main())
