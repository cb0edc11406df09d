"""The lab's only DNS server: BIND, authoritative for everything, taking dynamic updates from anyone."""

from __future__ import annotations

import ipaddress
import shutil

from lab.host import Host
from lab.service import Service

# One zone, the root: any name can be set at once, all others are NXDOMAIN, and nothing is asked elsewhere.
ROOT_ZONE = """\
. 5 IN SOA ns.example.org. hostmaster.example.org. 1 60 60 600 1
. 5 IN NS ns.example.org.
ns.example.org. 5 IN A {v4}
ns.example.org. 5 IN AAAA {v6}
"""

CONFIGURATION = """\
options {{
    directory "{directory}";
    listen-on {{ any; }};
    listen-on-v6 {{ any; }};
    recursion no;
    allow-query {{ any; }};
    notify no;
    dnssec-validation no;
    session-keyfile none;
    pid-file none;
    lock-file none;
}};
controls {{ }};
zone "." {{ type primary; file "root.zone"; allow-update {{ any; }}; }};
"""


class DnsServer(Service):
    """Names and their addresses. Freeze, thaw, kill and start it like any service."""

    def __init__(self, host: Host) -> None:
        place, addresses = host.directory, host.addresses
        assert addresses.v4 is not None
        assert addresses.v6 is not None
        (place / "root.zone").write_text(ROOT_ZONE.format(v4=addresses.v4.ip, v6=addresses.v6.ip))
        (place / "named.conf").write_text(CONFIGURATION.format(directory=place))
        # A copy, because distributions confine /usr/sbin/named by its path to its usual directories.
        program = shutil.copy(shutil.which("named", path="/usr/sbin:/usr/local/sbin") or "named", place)
        super().__init__(
            host,
            [program, "-g", "-n", "1", "-c", place / "named.conf"],
            ready="dig @127.0.0.1 +time=1 +tries=1 . SOA | grep -q 'status: NOERROR'",
        )
        self.address = str(addresses.v4.ip)
        self.address6 = str(addresses.v6.ip)

    def set(self, name: str, *addresses: str, ttl: int = 5) -> None:
        """Let the name have exactly these IPv4 and IPv6 addresses."""
        records = [f"update delete {name} A", f"update delete {name} AAAA"]
        for address in addresses:
            kind = "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
            records.append(f"update add {name} {ttl} {kind} {address}")
        self._update(records)

    def remove(self, name: str) -> None:
        """Let the name not exist."""
        self._update([f"update delete {name}"])

    def _update(self, records: list[str]) -> None:
        self._host.run(["nsupdate"], input="\n".join(["server 127.0.0.1", "zone .", *records, "send\n"]))
