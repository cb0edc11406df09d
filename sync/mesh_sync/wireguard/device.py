"""One WireGuard interface: read it as `Live`, carry out a plan on it, take it away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.system.run import PACKAGES, is_installed, run
from mesh_sync.wireguard import firewall, forwarding, ip, kernel_module, open_chains, port_rewriting, userspace, wg
from mesh_sync.wireguard.desired import EXIT_TABLE, Desired
from mesh_sync.wireguard.forward_chains import wanted
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.plan import Change
from mesh_sync.wireguard.read import read
from mesh_sync.wireguard.syncconf import addconf_text, syncconf_text

SYNCED = frozenset({
    "private-key", "listen-port", "fwmark", "peer-added", "peer-removed", "foreign-peer",
    "allowed-ips", "keepalive", "preshared-key", "endpoint", "endpoint-removed",
})  # fmt: skip
"""Kinds of change that one `wg syncconf` carries out."""

WHOLE = frozenset({"interface-added", "listen-port", "fwmark"})
"""Kinds of change that concern every peer; for all others only the peers that change are fed to the kernel, because
`wg syncconf` replaces the allowed IPs of each peer, and rebinds wireguard-go's port: both lose packets."""

NONE_YET = LivePeer("", frozenset())

METRIC = 30000
"""Of our routes: behind every other, so that a peer's network never takes the place of one that this machine is in.
With the metric of that route, `ip route replace` would put it away for good."""


class Device:
    """The interface ``name``; ``memory`` is the file that keeps the sysctls' earlier values."""

    def __init__(self, name: str, memory: Path, note: Callable[[str], None] = lambda text: None) -> None:
        self.name = name
        self.memory = memory
        self.note = note

    def exists(self) -> bool:
        """Whether the interface is there."""
        return ip.link(self.name) is not None

    def read(self, *concerned: Desired | None) -> Live | None:
        """The interface as it is, None when there is none (see `read`)."""
        return read(self.name, self.memory, *concerned)

    def apply(
        self,
        desired: Desired,
        live: Live | None,
        changes: Sequence[Change],
        private_key: Callable[[], str],
        endpoints: Mapping[str, str],
    ) -> tuple[str, ...]:
        """Carry out ``changes``. Return what this machine refused of them, without which the rest works: an address, a
        route of the main table, a sysctl. Raise DeviceError when something else did not take; what was done stays done.

        ``private_key`` is asked only when the kernel does not have the right one; ``endpoints`` are the numeric
        endpoints to set now, by public key.
        """
        kinds = {change.kind for change in changes if change.acted}
        try:
            if "interface-added" in kinds:
                self._create()
            before = live or Live()
            refused = ip.each(self._lines(changes, "address-added", "mtu"))
            if kinds & SYNCED:
                key = before.private_key if before.public_key == desired.public_key else private_key()
                self._sync(desired, before, changes, key, endpoints)
            if desired.fwmark:  # marks come before the routes that heed them: no connection is lost in between
                refused += tuple(self._gateway(desired, changes))
            ip.batch(self._lines(changes, "link-up"))
            refused += ip.each(self._lines(changes, "route-added"))
            ip.batch(self._lines(changes, "exit-route-added"))
            for change in changes:
                if change.kind in ("exit-rule-added", "exit-rule-removed"):
                    self._exit(int(change.value), add=change.kind == "exit-rule-added")
            ip.batch(self._lines(changes, "exit-route-removed", "route-removed", "address-removed"))
            if not desired.fwmark:
                refused += tuple(self._gateway(desired, changes))
            self._forward(desired, before, changes)
            return refused
        except CommandError as error:
            if error.says(ip.PORT_TAKEN):
                raise DeviceError(
                    f"{self.name}: UDP port {desired.listen_port} is taken",
                    hint="`wg show all listen-port` and `ss -lunp` say by whom; after a change of the interface's name "
                    "it is the old one: ip link delete",
                ) from None
            raise DeviceError(f"{self.name}: {error.message}", hint=error.hint) from None

    def remove(self) -> None:
        """Take the interface away, and with it its routes, its rules and what it did as a gateway."""
        try:
            if self.exists():
                self._log("ip link delete", self.name)
                run(["ip", "link", "delete", "dev", self.name])
            for version in sorted(ip.exit_rules()):
                self._exit(version, add=False)
            if firewall.live_rules(self.name):
                firewall.set_rules(self.name, ())
            if port_rewriting.read(self.name):
                port_rewriting.replace(self.name, ())
            if self._opened.exists():
                found = open_chains.read(self.name, self._opened)
                open_chains.change(self.name, found, (), found.opened, self._opened, self.note)
            for path in forwarding.remembered(self.memory):
                forwarding.put_back(self.memory, path)
        except CommandError as error:
            raise DeviceError(f"{self.name}: {error.message}", hint=error.hint) from None

    def _create(self) -> None:
        """The kernel's WireGuard where it is there or can be loaded, else the userspace one."""
        if not is_installed("wg"):
            raise DeviceError("wg is not installed", hint=PACKAGES["wg"])
        if not kernel_module.may_change_the_network():
            raise DeviceError(
                f"{self.name} cannot be made: this process lacks CAP_NET_ADMIN",
                hint="run it as root; start a container with --cap-add NET_ADMIN",
            )
        if not (self._add() or (kernel_module.load("wireguard") and self._add())):
            userspace.start(self.name)

    def _add(self) -> bool:
        """Make it by the kernel's WireGuard; False where the kernel has none."""
        self._log("ip link add", self.name)
        try:
            run(["ip", "link", "add", "dev", self.name, "type", "wireguard"])
        except CommandError as error:
            if error.says(ip.UNKNOWN_TYPE, ip.NOT_SUPPORTED):
                return False
            raise
        return True

    def _sync(
        self, desired: Desired, live: Live, changes: Sequence[Change], key: str, endpoints: Mapping[str, str]
    ) -> None:
        self._set_preshared_keys(desired, changes)
        for change in changes:
            if change.kind == "endpoint-removed":  # syncconf never unsets one (fact 5): remove, then add again
                wg.set_peer(self.name, change.value, "remove")
        kinds = {change.kind for change in changes}
        if kinds & WHOLE:
            self._log("wg syncconf", self.name)
            wg.syncconf(self.name, syncconf_text(desired, live, changes, key, endpoints))
        else:
            self._change_peers(desired, changes, endpoints)
            if "private-key" in kinds:
                self._log("wg set", self.name, "private-key")
                wg.set_private_key(self.name, key)
        if kinds & {"listen-port", "private-key"}:
            self.greet(desired, live)

    def _set_preshared_keys(self, desired: Desired, changes: Sequence[Change]) -> None:
        changed = {change.value for change in changes if change.kind == "preshared-key"}
        if changed:
            self._log("wg set", self.name, "preshared-key of", *sorted(changed))
            keys = {peer.public_key: peer.preshared_key for peer in desired.peers if peer.public_key in changed}
            wg.set_preshared_keys(self.name, keys)

    def _change_peers(self, desired: Desired, changes: Sequence[Change], endpoints: Mapping[str, str]) -> None:
        """What is new comes before what goes: an address that moves is never without a peer."""
        if text := addconf_text(desired, changes, endpoints):
            self._log("wg addconf", self.name)
            wg.addconf(self.name, text)
        gone = [change.value for change in changes if change.kind in ("peer-removed", "foreign-peer")]
        if gone:
            self._log("wg set", self.name, "remove", *gone)
            wg.remove_peers(self.name, gone)

    def greet(self, desired: Desired, live: Live) -> None:
        """Send every peer a packet, so that it follows to a new port or key at once: keepalive 0, then on (fact 15)."""
        here = [peer for peer in desired.peers if live.peers.get(peer.public_key, NONE_YET).endpoint]
        wg.set_keepalives(self.name, ((peer.public_key, 0) for peer in here))
        wg.set_keepalives(self.name, ((peer.public_key, 25) for peer in here))
        wg.set_keepalives(self.name, ((peer.public_key, peer.keepalive) for peer in here if peer.keepalive != 25))

    def _exit(self, version: int, *, add: bool) -> None:
        if not add and ip.exit_is_shared(version, self.name):
            return
        self._log("ip", f"-{version} rule {'add' if add else 'delete'}: default route through the tunnel")
        ip.set_exit_rules(version, add=add)

    def _gateway(self, desired: Desired, changes: Sequence[Change]) -> Iterator[str]:
        """Yield what could not be done. Nothing is forwarded without the rules that limit it."""
        rules_at = 0 if desired.firewall else 1
        for change in sorted(changes, key=lambda change: rules_at if change.kind == "firewall" else 0.5):
            if change.kind == "sysctl":
                if problem := forwarding.turn_on(change.value, self.memory):
                    yield problem
            elif change.kind == "firewall":
                firewall.set_rules(self.name, desired.firewall)
            elif change.kind == "sysctl-undone":
                forwarding.put_back(self.memory, change.value)

    def _forward(self, desired: Desired, live: Live, changes: Sequence[Change]) -> None:
        """Our rules in the chains of others. Those of a new interface were not planned: it had nothing to forward."""
        add, remove = ([c.value for c in changes if c.kind == f"forward-{done}"] for done in ("added", "removed"))
        found = live.forward
        if any(change.kind == "interface-added" for change in changes) and desired.passages:
            found = open_chains.read(self.name, self._opened)
            add = sorted(wanted(desired.passages, found.closed) - found.opened.keys())
        if add or remove:
            open_chains.change(self.name, found, add, remove, self._opened, self.note)

    @property
    def _opened(self) -> Path:
        return open_chains.marker(self.memory)

    def _lines(self, changes: Sequence[Change], *kinds: str) -> list[str]:
        lines = [line for change in changes if change.kind in kinds for line in _ip_lines(change, self.name)]
        for line in lines:
            self._log("ip", line)
        return lines

    def _log(self, *words: str) -> None:
        self.note(" ".join(words))


def _ip_lines(change: Change, interface: str) -> list[str]:
    value = change.value
    match change.kind:
        case "address-added":
            return [f"address replace {value} dev {interface}"]
        case "address-removed":
            return [f"address delete {value} dev {interface}"]
        case "mtu":
            return [f"link set dev {interface} mtu {value}"]
        case "link-up":
            return [f"link set dev {interface} up"]
        case "route-added":
            return [f"route replace {value} dev {interface} metric {METRIC}"]
        case "exit-route-added":
            return [f"route replace {value} dev {interface} table {EXIT_TABLE} metric {METRIC}"]
        case "route-removed":
            return [f"route delete {value} dev {interface}"]
        case "exit-route-removed":
            return [f"route delete {value} dev {interface} table {EXIT_TABLE}"]
    return []
