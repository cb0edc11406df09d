"""The lab, and with it the demo, says what a plain chroot lacks; captured in one of Debian 12."""

from __future__ import annotations

from pathlib import Path

from lab.capsule import plain_chroot

CHROOT = "287 27 0:74 / /proc rw,relatime - proc proc rw\n"
BOUND = (
    "341 321 254:0 /var/tmp/debian / rw,relatime - ext4 /dev/vda rw,discard\n"
    "342 341 0:74 / /proc rw,relatime - proc proc rw\n"
)


def test_a_chroot_whose_root_is_no_mount_point_is_named_with_the_way_out() -> None:
    assert "mount --bind DIR DIR" in (plain_chroot(CHROOT) or "")
    assert "mount -t proc" in (plain_chroot("") or "")


def test_one_that_is_bound_and_this_machine_will_do() -> None:
    assert plain_chroot(BOUND) is None
    assert plain_chroot(Path("/proc/self/mountinfo").read_text()) is None
