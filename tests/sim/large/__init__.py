"""A week of two thousand nodes: addresses change, machines restart, the network falls apart, peers come and go.

**Real.** Of a few nodes (`Sampled`) everything that the watchdog decides: `policy.decide` with all peers of the list,
at the pace of `policy.polling`, on the simulated WireGuard, NATs and DNS of `sim`. Of all nodes what they do about news
of commits (`policy.news`), and which peers are their anchors.

**Modelled.** The watchdogs of the other nodes (`Modelled`): they answer, follow a relay, open their NAT when they hear
who looks for them, and send something after a move; they search for no peer and ask none in turn, so the sampled node
does all the work of its pairs. Two modelled nodes exchange nothing but news and what relays and anchors see; their
packets arrive unless one is off or a partition lies between. mesh-sync is a delay; the kernel answers at once; a
relayed news packet arrives if nothing lies between its ends.

**Skipped.** The sampled nodes may sleep most of the time, as laptops do, and wake for an hour: a policy with 2,000
peers asks some of them every few seconds, so no span in which it is awake can be skipped. Timers of nodes that have the
newest commit find nothing, and are not run.
"""

from sim.large.life import Life
from sim.large.mesh import Mesh

__all__ = ["Life", "Mesh"]
