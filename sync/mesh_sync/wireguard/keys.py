"""WireGuard's keys: Curve25519, base64."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from mesh_sync.errors import ConfigError
from mesh_sync.system.files import write_atomically
from mesh_sync.system.shell_words import quote


def public_key(private_key: str) -> str:
    """Given a private key, return the public one. ValueError, without the key, if it is none."""
    from nacl.bindings import crypto_scalarmult_base  # 20 ms, and a run with nothing to do derives no key

    return base64.b64encode(crypto_scalarmult_base(_decode(private_key))).decode()


def generate() -> str:
    """A new private key, clamped as `wg genkey` does (RFC 7748, section 5)."""
    raw = bytearray(os.urandom(32))
    raw[0] &= 248
    raw[31] = raw[31] & 127 | 64
    return base64.b64encode(raw).decode()


_MAKES_KEYS = "`mesh-sync join` makes that of a node, `mesh-sync peer add N --new-key FILE` that of a phone"


def read_private_key(path: Path) -> str:
    """Read a private key file. Raise ConfigError, which never shows the key."""
    try:
        text = path.read_text().strip()
        _decode(text)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint=_MAKES_KEYS) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="run it as root") from None
    except (ValueError, UnicodeDecodeError):
        raise ConfigError(f"{path} does not hold a WireGuard private key") from None
    if path.stat().st_mode & 0o077:
        raise ConfigError(
            f"{path} is readable by other users", hint=f"chmod 600 {quote(str(path))}, and consider a new key"
        )
    return text


def write_private_key(path: Path) -> str:
    """Make a key and keep it in ``path``, 0600 from the first byte; return its public half."""
    private = generate()
    write_atomically(path, private + "\n")
    return public_key(private)


def is_key(text: str) -> bool:
    """Whether this is a WireGuard key, private or public."""
    try:
        _decode(text)
    except ValueError:
        return False
    return True


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32 or not any(raw):
        raise ValueError("not a WireGuard key")
    return raw
