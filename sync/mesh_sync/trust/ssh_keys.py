"""SSH keys for signing: a node's own, made here, and the public halves that people name."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from mesh_sync.errors import CommandError, ConfigError, DeviceError, Reason
from mesh_sync.findings import shown
from mesh_sync.system.files import make_folder, write_atomically
from mesh_sync.system.run import run
from mesh_sync.system.shell_words import quote
from mesh_sync.trust.signers import is_public_key

MAX_KEY_FILE = 16 * 1024


def named(word: str) -> str:
    """Given a public key, or the name of its file, return it: type, base64, any comment. ConfigError if it is neither.

    For a private key's file the public half beside it is read, never the key itself.
    """
    if is_public_key(word):
        return " ".join(word.split())
    file = Path(word).expanduser()
    if file.suffix != ".pub" and file.with_name(file.name + ".pub").exists():
        file = file.with_name(file.name + ".pub")
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_KEY_FILE).decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigError(f"{shown(word)} is neither an SSH public key nor a file that can be read: {reason}") from None
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if len(lines) != 1 or not is_public_key(lines[0]):
        hint = "give the public half: its file ends in .pub, `ssh-keygen -y -f FILE` prints it"
        raise ConfigError(f"{file} does not hold one SSH public key", hint=hint)
    return " ".join(lines[0].split())


def of_this_person() -> Path | None:
    """The SSH key of the person at this machine, if there is one with a public half."""
    folder = Path.home() / ".ssh"
    files = (folder / f"id_{kind}" for kind in ("ed25519", "ed25519_sk", "ecdsa", "ecdsa_sk", "rsa"))
    return next((file for file in files if file.with_name(f"{file.name}.pub").exists()), None)


def make_key(path: Path, comment: str) -> None:
    """Make a node's signing key in ``path``: ed25519, no passphrase, 0600 from the first byte, there whole or not."""
    try:
        make_folder(path.parent)
        with TemporaryDirectory(prefix=".signing-", dir=path.parent, ignore_cleanup_errors=True) as folder:
            made = Path(folder, "key")
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(made)])
            write_atomically(path, made.read_bytes())
    except OSError as error:
        raise DeviceError(f"{path} cannot be written: {error.strerror}") from None


def public_half(path: Path) -> str:
    """The public half of a private key's file: type and base64. ConfigError, which never shows the key."""
    try:
        text = run(["ssh-keygen", "-y", "-P", "", "-f", str(path)])
    except CommandError as error:
        if error.reason is not Reason.EXIT_STATUS:
            raise
        text = f"{path} does not hold an SSH private key without a passphrase that only its owner can read"
        raise ConfigError(
            text,
            hint=f"remove it and `mesh-sync join` makes a new one; it has to be 0600: chmod 600 {quote(str(path))}",
        ) from None
    return " ".join(text.split()[:2])
