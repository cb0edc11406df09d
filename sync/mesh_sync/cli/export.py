"""`mesh-sync export`: configs for what cannot run mesh-sync."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mesh_sync.cli.options import file, private_key_option, repository_option, secret_option
from mesh_sync.wireguard.conf import PLACEHOLDER
from mesh_sync.workspace.export import IMAGE_SUFFIXES, check_output, code, draw, text, write


@click.command()
@click.argument("name", metavar="N")
@repository_option
@private_key_option
@secret_option
@click.option("--qr", is_flag=True, help="Show it as a QR code, for the camera of a phone.")
@click.option("-o", "--output", type=file, metavar="FILE",
              help="Write it to FILE (0600): .conf as text, .svg and .png as a QR code.")  # fmt: skip
def export(
    name: str, directory: Path, private_key_file: Path | None, secret_file: Path | None, qr: bool, output: Path | None
) -> None:
    """Print the config of an unmanaged peer, as text or as a QR code.

    The config does not follow the list: export it again when the mesh changes. That of a peer with `via` has one
    tunnel and changes least.
    """
    if output:
        check_output(output, directory, bool(private_key_file or secret_file))
    config = text(directory, name, private_key_file, secret_file)
    if PLACEHOLDER in config and (qr or (output and output.suffix.lower() in IMAGE_SUFFIXES)):
        warning = "this code has a placeholder for the private key; --private-key-file F fills it in"
        click.secho(warning, fg="yellow", err=True)
    if output:
        write(output, config)
        click.echo(f"wrote {output}", err=True)
    if qr:
        for line in draw(code(config)).splitlines():
            click.echo(click.style(line, fg="bright_white", bg="black") if sys.stdout.isatty() else line)
    elif not output:
        click.echo(config, nl=False)
