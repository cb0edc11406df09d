"""The options of both command lines, and how JSON is printed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mesh_sync.node.config import DEFAULT_CONFIG

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    help="This machine's node.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=2))
