"""A cluster with k3s's addresses: two nodes, a pod on each, a service, DNS; what its programs set is set by hand.

The rules are those of flannel's `host-gw` (pkg/trafficmngr in its source: `! -s 10.42.0.0/16 -d 10.42.0.0/16` is
masqueraded, but for the node's own pods) and of kube-proxy, which masquerades what comes from outside `--cluster-cidr`.
"""

from __future__ import annotations

import sys

from lab import Lab, Node
from lab.dnsserver import DnsServer

SERVE = """
import http.server, sys
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = f"{sys.argv[1]} is asked by {self.client_address[0]}\\n".encode()
        body = bytes(3_000_000) if self.path == "/large" else told
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("", 8080), Web)
print("ready", flush=True)
server.serve_forever()
"""
SERVICES = """
table ip kube-proxy {
    chain services {
        ip saddr != 10.42.0.0/16 ip daddr 10.43.0.0/16 meta mark set meta mark or 0x4000
        ip daddr 10.43.0.80 tcp dport 80 dnat to 10.42.0.80:8080
        ip daddr 10.43.0.10 udp dport 53 dnat to 10.42.0.53:53
    }
    chain prerouting { type nat hook prerouting priority dstnat; jump services; }
    chain output { type nat hook output priority -100; jump services; }
    chain postrouting { type nat hook postrouting priority srcnat; meta mark and 0x4000 == 0x4000 masquerade; }
}
"""
FLANNEL = """
table ip flannel {
    chain postrouting {
        type nat hook postrouting priority srcnat
        ip saddr 10.42.0.0/16 ip daddr 10.42.0.0/16 return
        ip saddr 10.42.0.0/16 ip daddr != 224.0.0.0/4 masquerade
        ip saddr != 10.42.0.0/16 ip daddr %s return
        ip saddr != 10.42.0.0/16 ip daddr 10.42.0.0/16 masquerade
    }
}
"""


class Cluster:
    """`first` and `second` are its nodes, in the LAN 192.168.30.0/24 with `edge`, which is none of them."""

    def __init__(self, lab: Lab) -> None:
        self.site = lab.site("k3s", "192.168.30.0/24", "203.0.113.31")
        self.first = self.site.gateway
        self.second = lab.beside(self.site, "k3s-2", 3)
        self.edge = lab.beside(self.site, "edge", 4)
        self.pods: list[Node] = []
        for number, (node, other) in enumerate(((self.first, 3), (self.second, 2))):
            node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
            line = lab.bridge(node, "cni0", f"10.42.{number}.0/24")
            node.ip(f"route add 10.42.{1 - number}.0/24 via 192.168.30.{other}")
            node.nft(SERVICES + FLANNEL % f"10.42.{number}.0/24")
            self.pods.append(lab.on(line, f"web-{number}", 80))
            if number == 0:
                dns = DnsServer(lab.on(line, "coredns", 53))
                dns.start()
                dns.set("web.default.svc.cluster.local", "10.43.0.80")
        for pod, place in zip(self.pods, ("first", "second"), strict=True):
            program = pod.popen([sys.executable, "-S", "-c", SERVE, f"a pod on the {place} node"])
            assert program.stdout
            assert program.stdout.readline() == "ready\n"
