"""Private keys, preshared keys and mesh secrets that were committed by mistake. A mesh repository holds none. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping

from mesh_sync.findings import Finding
from mesh_sync.wireguard.keys import public_key

_LABELLED = re.compile(rb"(?i)\bprivate[ _-]?key\b[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9+/]{43}=")
_PRESHARED = re.compile(rb"(?i)\bpre-?shared[ _-]?key\b[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9+/]{43}=")
_SECRET = re.compile(rb"(?m)^[1-9][0-9]{0,5}[ \t]+([A-Za-z0-9+/]{43}=)[ \t\r]*$")
"""A line of a secret file (`preshared.text`)."""
_PEM = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_KEY = re.compile(rb"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])")


def leaked_keys(texts: Mapping[str, bytes]) -> Iterator[Finding]:
    """Given every file of the repository, yield which of them contain a secret, without quoting it.

    A bare key counts when its public half is in the repository too.
    """
    bare = {path: _KEY.findall(text) for path, text in texts.items()}
    public = {key for path, keys in bare.items() if path.endswith(".toml") for key in keys}
    for path, text in texts.items():
        if _PEM.search(text) or _LABELLED.search(text):
            yield Finding(path, "", "contains a private key; remove it and make a new one, this one is compromised")
            continue
        if _PRESHARED.search(text) or any(key not in public for key in _SECRET.findall(text)):
            yield Finding(path, "", "contains a preshared key or mesh secret; remove it and rotate the secret")
        for key in bare[path]:
            if _may_be_private(key) and public_key(key.decode()).encode() in public:
                why = "contains the private key of a public key in this mesh; it is compromised, make a new one"
                yield Finding(path, "", why)
                break


def _may_be_private(key: bytes) -> bool:
    """Every private key that `wg genkey` makes is clamped (RFC 7748, section 5); few public keys look so."""
    raw = base64.b64decode(key)
    return not raw[0] & 7 and raw[31] & 0xC0 == 0x40
