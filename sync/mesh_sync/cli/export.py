"""`mesh-sync export`: configs for what cannot run mesh-sync."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mesh_sync.terminal.options import repository_option


@click.command()
@click.argument("name", metavar="N")
@repository_option
@click.option("--private-key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
              help="Put this key in; without it a placeholder stands there.")  # fmt: skip
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
              help="The mesh secret, for preshared keys.")  # fmt: skip
@click.option("--qr", is_flag=True, help="Show it as a QR code, for the camera of a phone.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it to FILE (0600): .conf as text, .svg and .png as a QR code.")  # fmt: skip
def export(
    name: str, directory: Path, private_key_file: Path | None, secret_file: Path | None, qr: bool, output: Path | None
) -> None:
    """Print the config of an unmanaged peer, such as a phone, as wg-quick text or as a QR code.

    The config is that of this moment: export it again when the mesh changes. A peer that is reached `via` another
    has one tunnel, and its config changes least.
    """
    from mesh_sync.wireguard.conf import PLACEHOLDER
    from mesh_sync.workspace import export

    if output:
        export.check_output(output, directory, bool(private_key_file or secret_file))
    config = export.text(directory, name, private_key_file, secret_file)
    if PLACEHOLDER in config and (qr or (output and output.suffix.lower() in export.IMAGE_SUFFIXES)):
        click.secho("this code has a placeholder for the private key: --private-key-file F", fg="yellow", err=True)
    if output:
        export.write(output, config)
        click.echo(f"wrote {output}", err=True)
    if qr:
        for line in export.drawn(export.code(config)).splitlines():
            click.echo(click.style(line, fg="bright_white", bg="black") if sys.stdout.isatty() else line)
    elif not output:
        click.echo(config, nl=False)
