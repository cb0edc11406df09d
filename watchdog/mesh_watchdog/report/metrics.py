"""What the watchdog knows in Prometheus' text format (rule R17), and GET /metrics for one that scrapes.

Labels are names of the mesh, never keys. Of HTTP there is as little as that takes.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mesh_watchdog.policy.nat_class import CLASSES
from mesh_watchdog.policy.peer import MISSING, NEW, SEARCHING, SUSPECT, UP
from mesh_watchdog.policy.relayed import RELAYED

STATES = (UP, NEW, SUSPECT, SEARCHING, MISSING, RELAYED)
Sample = tuple[Mapping[str, str], float]
PATIENCE = 5.0
"""Seconds a client may take to ask, and to take the answer."""
MOST_CLIENTS = 16
"""At once; who comes on top is hung up on. Every user of this machine can connect, and the watchdog needs its files."""
FRESH = 1.0
"""Seconds for which the same text is served again: a client that asks without end costs no more."""
_HEAD = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"


def metrics(view: Mapping[str, Any], moment: float) -> str:
    """Given what `status_file.view` returns, and the moment, return the metrics."""
    return "".join(_lines(view, moment))


def _lines(view: Mapping[str, Any], moment: float) -> Iterator[str]:
    peers = view["peers"]
    yield from _family("up", "gauge", "Whether the interface is there.", [({}, float(view["interface_up"]))])
    yield from _family("offline", "gauge", "Whether it is this machine that is cut off.", [({}, float(view["ours"]))])
    mapped = float(view["port_mapping"]["endpoint"] is not None)
    yield from _family("port_mapped", "gauge", "Whether the router forwards a port to this node.", [({}, mapped)])
    text = "The class of the NAT before this node, as its peers see it."
    classes = [({"class": each}, float(view["nat"] == each)) for each in CLASSES]
    yield from _family("nat_class", "gauge", text, classes)
    codes = Counter(trouble["code"] for trouble in view.get("troubles", ()))
    text = "What keeps the mesh from working on this machine although its peers are up; `mesh-sync doctor` says more."
    yield from _family("troubles", "gauge", text, [({"code": code}, float(codes[code])) for code in sorted(codes)])
    yield from _peers(peers, moment)
    names = {name["host"]: name for peer in peers for name in peer["dns"]}
    ages = [({"host": host}, name["age"]) for host, name in names.items() if name["age"] is not None]
    yield from _family("dns_answer_age_seconds", "gauge", "Since the name was last answered for.", ages)
    failing = [({"host": host}, float(name["problem"] is not None)) for host, name in names.items()]
    yield from _family("dns_failing", "gauge", "Whether the last question for the name failed.", failing)
    for key, text in (
        ("dns_queries", "Questions for names."),
        ("dns_failures", "Questions for names that were not answered with an address."),
        ("probes", "Probes sent."),
        ("openers", "Packets sent to open the NAT before this node for a peer."),
        ("readings", "Readings of the interface."),
    ):
        yield from _family(f"{key}_total", "counter", text, [({}, float(view[key]))])


def _peers(peers: Sequence[Mapping[str, Any]], moment: float) -> Iterator[str]:
    states = [({**_of(p), "state": state}, float(p["state"] == state)) for p in peers for state in STATES]
    yield from _family("peer_state", "gauge", "Whether the peer is in this state.", states)
    text = "Where the peer's endpoint comes from."
    yield from _family("peer_endpoint_source", "gauge", text, [({**_of(p), "source": p["source"]}, 1.0) for p in peers])
    text = "Since the peer was last heard, or since we began to listen."
    yield from _family("peer_rx_age_seconds", "gauge", text, [(_of(p), moment - p["heard"]) for p in peers])
    for key, text in (
        ("switches", "Endpoints that were given up for another one."),
        ("writes", "Endpoints that were set."),
        ("writes_avoided", "Endpoints that were not set because the peer was heard in time."),
        ("hunts", "How often the peer had to be looked for."),
    ):
        yield from _family(f"peer_{key}_total", "counter", text, [(_of(p), float(p[key])) for p in peers])
    text = "How long the peer was silent the last time it came back."
    recovered = [(_of(p), p["last_recovery"]) for p in peers if p["last_recovery"] is not None]
    yield from _family("peer_last_recovery_seconds", "gauge", text, recovered)


def _of(peer: Mapping[str, Any]) -> dict[str, str]:
    return {"peer": peer["name"]}


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    full = f"mesh_watchdog_{name}"
    yield f"# HELP {full} {text}\n# TYPE {full} {kind}\n"
    for labels, value in samples:
        shown = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        yield f"{full}{{{shown}}} {value:.10g}\n" if shown else f"{full} {value:.10g}\n"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


async def serve(place: tuple[str, int], text: Callable[[], str]) -> asyncio.Server:
    """Listen; every request is answered by what ``text`` returns then. Raise OSError when the port is taken."""
    fresh, present = _Fresh(text), 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal present
        present += 1
        try:
            if present <= MOST_CLIENTS:
                await asyncio.wait_for(_answer(reader, writer, fresh), PATIENCE)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that goes away, takes its time, or says no HTTP
        finally:
            writer.transport.abort()  # what it does not take is not kept for it
            present -= 1

    return await asyncio.start_server(answer, *place, limit=16384, backlog=MOST_CLIENTS)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: Callable[[], str]) -> None:
    writer.write(response(await reader.readuntil(b"\r\n\r\n"), text))
    writer.close()
    await writer.wait_closed()


class _Fresh:
    """A text that is made again when it is older than `FRESH`."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._text, self._made = "", float("-inf")

    def __call__(self) -> str:
        if time.monotonic() - self._made >= FRESH:
            self._text, self._made = self._make(), time.monotonic()
        return self._text


def response(head: bytes, text: Callable[[], str]) -> bytes:
    """Given a request's head, return the whole response."""
    method, _, rest = head.split(b"\r\n", 1)[0].partition(b" ")
    target = rest.partition(b" ")[0].partition(b"?")[0]
    status, body, kind = "200 OK", "", "text/plain; charset=utf-8"
    if target != b"/metrics":
        status, body = "404 Not Found", "only /metrics is here\n"
    elif method != b"GET":
        status, body = "405 Method Not Allowed", "only GET is\n"
    else:
        body, kind = text(), "text/plain; version=0.0.4; charset=utf-8"
    content = body.encode()
    return _HEAD.format(status=status, kind=kind, length=len(content)).encode() + content
