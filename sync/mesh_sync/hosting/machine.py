"""What root does for `mesh-sync host`: a user for the repository, and this machine's own key where its people look."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mesh_sync.errors import CommandError, ConfigError, DeviceError
from mesh_sync.hosting.authorized_keys import places
from mesh_sync.system.files import write_atomically
from mesh_sync.system.foreground import in_foreground
from mesh_sync.system.run import is_installed, run
from mesh_sync.trust.ssh_keys import of_this_person

Note = Callable[[str], None]
USER = "meshgit"
HOMES = Path("/var/lib")
HOST_KEYS = Path("/etc/ssh")
SHELL = "/bin/sh"
"""sshd starts a forced command by it. No password, and no key without such a command, leads to it."""
DEADLINE = 60.0


def raise_unless_open(place: Path) -> None:
    """Raise ConfigError where a folder above ``place`` lets no other user pass, as /root does."""
    for folder in place.parents:
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            text = f"{folder} is closed to other users, and the one who is to own {place} has to pass it"
            raise ConfigError(text, hint=f"name another PATH, such as /srv/{place.name}")


def make_user(name: str, place: Path, note: Note) -> None:
    """A system user without a password who owns ``place``. Raise ConfigError if the name is taken, DeviceError."""
    folder = HOMES / name
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        if not is_installed("useradd"):
            raise DeviceError("useradd is not installed", hint="install passwd (Debian) or shadow (Alpine)") from None
        argv = ["useradd", "--system", "--user-group", "--create-home", "--home-dir", str(folder), "--shell", SHELL]
        note(f"+ useradd --system {name}")
        _run([*argv, "--password", "*", "--comment", "mesh-sync host", name])
        found = pwd.getpwnam(name)
    if Path(found.pw_dir) != folder or found.pw_uid == 0:
        raise ConfigError(f"there is a user {name} already, for something else", hint="give another name with --user")
    try:
        (folder / ".ssh").mkdir(mode=0o700, exist_ok=True)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        if not any(place.iterdir()):
            os.chown(place, found.pw_uid, found.pw_gid, follow_symlinks=False)
        # the folder is the user's own, who could lead root elsewhere by a link
        os.chown(folder / ".ssh", found.pw_uid, found.pw_gid, follow_symlinks=False)
        if place.stat().st_uid != found.pw_uid:
            hint = f"chown --recursive {name}: {place}"
            raise ConfigError(f"{place} belongs to another user than {name}", hint=hint)
    except OSError as error:
        raise DeviceError(f"{error.filename} cannot be made: {error.strerror}") from None


def as_user(name: str, words: list[str], note: Note) -> None:
    """Run mesh-sync as this user, and tell what it tells. Raise DeviceError."""
    user = pwd.getpwnam(name)
    group = grp.getgrgid(user.pw_gid).gr_name
    argv = ["setpriv", f"--reuid={name}", f"--regid={group}", "--init-groups", "--", str(program()), *words]
    for line in _run(argv, env={"HOME": user.pw_dir}).splitlines():
        note(line)


def remove_user(name: str, note: Note) -> None:
    """Remove a user that `make_user` has made, where no key leads to it any more."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return
    file = Path(user.pw_dir) / ".ssh/authorized_keys"
    if Path(user.pw_dir) != HOMES / name or (file.exists() and file.read_text().strip()):
        return
    note(f"+ userdel --remove {name}")
    _run(["userdel", "--remove", name])


def hosted() -> tuple[str, ...]:
    """The repositories that root has this machine host, by the usual user."""
    file = HOMES / USER / ".ssh/authorized_keys"
    try:
        return places(file.read_text(encoding="utf-8")) if file.is_file() else ()
    except (OSError, UnicodeDecodeError):
        return ()


def program() -> Path:
    """The path by which sshd and hooks start mesh-sync."""
    return Path(sys.argv[0]).absolute()


def own_name() -> tuple[str, str]:
    """What others may call this machine, and the port of its sshd: a guess."""
    try:
        said = run(["/usr/sbin/sshd", "-T"])
    except CommandError:
        said = ""
    ports = [line.split()[1] for line in said.split("\n") if line.startswith("port ")]
    return socket.getfqdn(), ports[0] if ports else "22"


def make_known(name: str, port: str, note: Note) -> None:
    """Let the ssh of the person at this machine know it under a name: it is this machine, whose keys are here."""
    known = name if port == "22" else f"[{name}]:{port}"
    file = Path.home() / ".ssh/known_hosts"
    before = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    new = [f"{known} {key}" for key in _host_keys() if f"{known} {key}" not in before]
    if new:
        note(f"+ add this machine's keys to {file}, as {known}")
        write_atomically(file, before + "".join(f"{line}\n" for line in new))


def operators_key(note: Note) -> Path:
    """The SSH key of the person at this machine, made where there is none. Raise DeviceError."""
    if present := of_this_person():
        return present
    folder = Path.home() / ".ssh"
    file = folder / "id_ed25519"
    asks = [] if sys.stdin.isatty() else ["-N", ""]
    note(f"+ ssh-keygen -t ed25519 -f {file}" + (", without a passphrase" if asks else ""))
    folder.mkdir(mode=0o700, exist_ok=True)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", *asks, "-f", str(file)]
    try:
        in_foreground(argv, deadline=600, input=None)
    except CommandError as error:
        raise DeviceError(f"no key was made: {error.message}") from None
    return file


def raise_without_sshd() -> None:
    """Raise DeviceError where sshd is not installed."""
    if not Path("/usr/sbin/sshd").exists() and not is_installed("sshd"):
        raise DeviceError(
            "sshd is not installed", hint="apt-get install openssh-server, or your system's package of it"
        )


def _host_keys() -> Iterator[str]:
    for file in sorted(HOST_KEYS.glob("ssh_host_*_key.pub")):
        yield " ".join(file.read_text(encoding="utf-8").split()[:2])


def _run(argv: list[str], env: dict[str, str] | None = None) -> str:
    try:
        return run(argv, deadline=DEADLINE, env=env)
    except CommandError as error:
        raise DeviceError(error.message) from None
