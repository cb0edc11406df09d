"""A host: its own network, processes, /run and /proc, plugged into one segment by its `eth0`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.address import Addresses
from lab.program import Program
from lab.segment import Port, Segment
from lab.tree import HOME, Tree

PATIENCE = 120.0
"""Seconds for a program; hardly any takes one where the machine has time, and an emulated one has little."""

# Programs name what they keep in /dev/shm after their pid, and hosts have the same ones.
# With br_netfilter loaded, what is only switched would be translated like what is routed.
# Redirects would teach hosts a way around the gateway; duplicate address detection would cost a second.
INIT = f"""
read -r pid _ </proc/self/stat
mount -t proc proc /proc
mount -t sysfs sysfs /sys 2>/dev/null || :
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mkdir {HOME}
cd /proc/sys/net
for scope in all default; do
    echo 0 >ipv4/conf/$scope/rp_filter
    for redirects in send_redirects accept_redirects; do echo 0 >ipv4/conf/$scope/$redirects; done
    echo 0 >ipv6/conf/$scope/accept_redirects
    echo 0 >ipv6/conf/$scope/accept_dad
    echo 0 >ipv6/conf/$scope/accept_ra
done
for family in iptables ip6tables arptables; do
    [ ! -e bridge/bridge-nf-call-$family ] || echo 0 >bridge/bridge-nf-call-$family
done
echo 0 >ipv4/ip_forward
echo 0 >ipv4/ip_unprivileged_port_start
ip link set lo up
directory=$1
%s
cd /
echo "$pid"
cat >/dev/null
exit
"""


class Host:
    """A machine of the lab. `directory` is its place on the outside's disk, `extra` goes into its init."""

    extra = ""

    def __init__(self, name: str, capsule: Tree, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.addresses = Addresses()
        self._capsule = capsule
        self._port: Port | None = None
        self._started: list[Program] = []
        directory.mkdir()
        self.prepare()
        self.tree = self._power_on()

    def prepare(self) -> None:
        """Fill `directory` before the first boot."""

    def _power_on(self) -> Tree:
        return Tree(INIT % self.extra, str(self.directory), inside=self._capsule)

    # -- running programs

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.STDOUT,
    ) -> Program:
        """Start a program on the host; it ends with the host at the latest."""
        process = Program(self.tree, argv, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)
        self._started.append(process)
        return process

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        input: str | None = None,
        timeout: float = PATIENCE,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the host to its end.

        The environment is the lab's own plus `env`; `cwd` is a path on the host. Raise CalledProcessError,
        with what the program said as a note, if it fails and `check` is set; TimeoutExpired if it takes
        longer than `timeout` seconds.
        """
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self.popen(argv, env=env, cwd=cwd, stdin=stdin, stderr=subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            process.communicate(timeout=10)
            raise
        finally:
            self._started.remove(process)
        if check and process.returncode:
            error = subprocess.CalledProcessError(process.returncode, list(map(str, argv)), stdout, stderr)
            error.add_note(f"on {self.name}: {stderr.strip() or stdout.strip()}")
            raise error
        return subprocess.CompletedProcess(list(map(str, argv)), process.returncode, stdout, stderr)

    def ip(self, *lines: str) -> None:
        """Run `ip` commands as one batch."""
        self.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")

    def nft(self, ruleset: str) -> None:
        """Load nftables rules."""
        self.run(["nft", "-f", "-"], input=ruleset)

    # -- its place in the network

    def attach(self, segment: Segment, addresses: Addresses) -> None:
        """Plug `eth0` into the segment and give it its addresses and default routes."""
        self._port = segment.plug(self.name, self.tree)
        self.addresses = addresses
        self.ip("link set eth0 up", *addresses.to_add())

    def renumber(self, address: str | None = None, address6: str | None = None) -> None:
        """Move to another address of the same network; a family that is not given keeps its own."""
        new = self.addresses.moved(address, address6)
        self.ip(*self.addresses.to_move(new))
        self.addresses = new

    @property
    def port(self) -> Port:
        """Where `eth0` is plugged in: `unplug()`, `plug()`, `block("ipv4")`, `unblock("ipv4")`."""
        assert self._port is not None, f"{self.name} is not attached to a segment"
        return self._port

    # -- power

    def shut_down(self) -> None:
        """Lose all processes, /run and interfaces at once, like a power cut. The disk stays."""
        self.port.remove()
        self.close()

    def boot(self) -> None:
        """Come back with the same disk, place and addresses, and nothing running."""
        self.tree = self._power_on()
        self.attach(self.port.segment, self.addresses)

    def reboot(self) -> None:
        """A power cut and a boot."""
        self.shut_down()
        self.boot()

    def close(self) -> None:
        """End everything on the host and collect what is left of it."""
        self.tree.close()
        for process in self._started:
            with process:
                process.kill()
        self._started.clear()
