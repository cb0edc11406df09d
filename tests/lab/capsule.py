"""The outermost namespaces of a lab: a private /run, /etc and /var/lib in which everything else happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.tree import ENVIRONMENT, HOME, LabError, Tree

PROGRAMS = (
    *("unshare", "nsenter", "ip", "ss", "nft", "wg", "ping", "strace", "faketime", "iptables-nft"),
    *("named", "nsupdate", "dig", "sshd", "ssh", "ssh-keygen", "git"),
)

# /etc and /var/lib become overlays, so that mount points and account files can be made without touching
# the machine's own. /proc stays the outside's: inner inits read from it which pid the outside knows them by.
# At the end everything is killed before the lab's directory goes, so that nothing writes into it any more.
INIT = f"""
read -r pid _ </proc/self/stat
mount -t tmpfs -o mode=755 tmpfs /run
for dir in etc var/lib; do
    over=/run/overlay/$dir
    mkdir -p $over/upper $over/work
    mount -t overlay overlay -o lowerdir=/$dir,upperdir=$over/upper,workdir=$over/work /$dir
done
cd /etc
rm -f passwd group nsswitch.conf hosts resolv.conf
echo 'root:x:0:0:root:{HOME}:/bin/sh
git:x:1000:1000:git:/srv:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false' >passwd
echo 'root:x:0:
git:x:1000:
nogroup:x:65534:' >group
echo 'passwd: files
group: files
hosts: files dns' >nsswitch.conf
echo '127.0.0.1 localhost
::1 localhost' >hosts
: >resolv.conf
mkdir -p mesh-sync wireguard /var/lib/mesh-sync
cd /
echo "$pid"
cat >/dev/null
kill -KILL -1 || :
exec rm -rf -- "$1"
"""

KERNEL_WIREGUARD = "ip link add lab-probe type wireguard 2>/dev/null && ip link del lab-probe"


class Capsule(Tree):
    """One lab's namespaces and its directory, both gone when the owner is."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mesh-lab-"))
        try:
            super().__init__(INIT, str(self.directory), user=os.geteuid() != 0)
        except LabError:
            shutil.rmtree(self.directory)
            raise


def available() -> str | None:
    """Return None when labs can be made here, else the reason why not, in words for a person."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (see tests/lab/README.md)"
    if reason := plain_chroot(Path("/proc/self/mountinfo").read_text() if Path("/proc/self").exists() else ""):
        return reason
    try:
        capsule = Capsule()
    except LabError as error:
        return str(error)
    try:
        return None if kernel_wireguard(capsule) else _no_userspace_wireguard()
    finally:
        capsule.close()


def plain_chroot(mountinfo: str) -> str | None:
    """Return why no namespace of mounts can be made, given /proc/self/mountinfo (proc(5)); None when it can.

    The root of a chroot is a folder like others, and `unshare --mount` has to change how the mount at `/` propagates.
    """
    if not mountinfo:
        return "/proc is not mounted: mount -t proc proc /proc"
    if any(line.split()[4] == "/" for line in mountinfo.splitlines()):
        return None
    return (
        "in this chroot `/` is no mount point, and no namespaces can be made: leave it, and enter DIR by "
        "`systemd-nspawn -D DIR`, or run `mount --bind DIR DIR` before `chroot DIR`"
    )


def kernel_wireguard(capsule: Capsule) -> bool:
    """Whether the kernel makes WireGuard interfaces; else the lab uses wireguard-go."""
    probe = [*capsule.enter, "sh", "-c", KERNEL_WIREGUARD]
    return subprocess.run(probe, env=dict(ENVIRONMENT), timeout=10, check=False).returncode == 0


def _no_userspace_wireguard() -> str | None:
    if shutil.which("wireguard-go") is None:
        return "neither the kernel's WireGuard nor wireguard-go is here"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no kernel WireGuard, and wireguard-go may not open /dev/net/tun (chmod 666 /dev/net/tun)"
    return None
