"""Empty the kernel's connection tracking table; run by routers. Saves the lab the conntrack package."""

import socket
import struct

NETLINK_NETFILTER = 12
IPCTNL_MSG_CT_DELETE = 1 << 8 | 2
NLM_F_REQUEST_ACK = 1 | 4
NLMSG_ERROR = 2


def flush() -> None:
    """Delete every entry of this network namespace. Raise OSError with the kernel's reason."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.settimeout(5)
        message = struct.pack("=IHHII4x", 20, IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST_ACK, 1, 0)
        netlink.send(message)
        kind, error = struct.unpack_from("=4xH10xi", netlink.recv(4096))
    if kind != NLMSG_ERROR or error:
        raise OSError(-error, "the connection table could not be emptied")


if __name__ == "__main__":
    flush()
