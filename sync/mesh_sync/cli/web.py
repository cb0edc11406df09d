"""`mesh-sync web`: the operator's page."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from mesh_sync.cli.options import file, repository_option
from mesh_sync.errors import ConfigError
from mesh_sync.workspace.preview import commit_in

PART = ("jinja2", "markupsafe", "starlette", "uvicorn", "anyio", "h11")
"""What the optional part of mesh-sync brings along."""


@click.command()
@repository_option
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT",
              help="The port on 127.0.0.1. [default: a free one]")  # fmt: skip
@click.option("--socket", "path", type=file, metavar="PATH",
              help="Listen on this Unix socket (0600) and on no port; `ssh -L 8080:PATH HOST` leads a browser there.",
              )  # fmt: skip
@click.option(
    "--no-browser", is_flag=True, help="Open no browser; print the address, and a code that lets you in once."
)
def web(directory: Path, port: int | None, path: Path | None, no_browser: bool) -> None:
    """Serve a page about the mesh to your own browser, until Ctrl-C or an hour without use.

    It shows the list as it is committed, listens on this machine only, and holds no key. It does not run as root.
    It needs the optional part `mesh-sync[web]`.

    \b
    Example: a repository on another machine, with your browser here
      ssh -t -L 8080:127.0.0.1:8080 HOST mesh-sync web -C mesh --port 8080 --no-browser
    """
    if port and path:
        raise click.UsageError("give --port or --socket")
    if os.geteuid() == 0:
        text = "the page does not run as root: it needs no right that you do not have"
        raise ConfigError(text, hint="run it as the person whose git and keys sign the commits")
    server, listening, app = map(_part, ("server", "listening", "app"))
    commit_in(directory, "HEAD")
    opens = not no_browser and _has_screen(os.environ)

    def opened(url: str, token: str, place: str) -> None:
        click.echo(f"the page is at {url or path}; Ctrl-C ends it")
        if not (url and opens and webbrowser.open(Path(place).as_uri())):
            click.echo(f"it asks for this code once: {token}")

    at = listening.on_unix_socket(path) if path else listening.on_loopback(port or 0)
    server.serve(at, lambda entrance, use: app.application(directory, entrance, use), opened)
    click.echo("stopped: the page was not used for an hour")


def _part(name: str) -> Any:
    """A module of the page. Raise ConfigError when what it stands on is not installed."""
    try:
        return import_module(f"mesh_sync.web.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PART:
            raise
        text = f"the page needs the optional part of mesh-sync, which is not installed ({error.name} is missing)"
        raise ConfigError(text, hint="pipx install --force 'mesh-sync[web]'") from None


def _has_screen(env: Mapping[str, str]) -> bool:
    """Whether a browser would open a window, and not take this terminal."""
    return bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))
