"""What the watchdog knows in Prometheus' text format (rule R17). Pure. Labels are names of the mesh, never keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

STATES = ("up", "new", "suspect", "hunted", "missing")
Sample = tuple[Mapping[str, str], float]


def metrics(view: Mapping[str, Any], moment: float) -> str:
    """Given what `view.view` returns, and the moment, return the metrics."""
    return "".join(_lines(view, moment))


def _lines(view: Mapping[str, Any], moment: float) -> Iterator[str]:
    peers = view["peers"]
    yield from _family("up", "gauge", "Whether the interface is there.", [({}, float(view["interface_up"]))])
    yield from _family("offline", "gauge", "Whether it is this machine that is cut off.", [({}, float(view["ours"]))])
    text = "Whether the peer is in this state."
    yield from _family("peer_state", "gauge", text, _states(peers))
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
    names = {name["host"]: name for peer in peers for name in peer["dns"]}
    ages = [({"host": host}, name["age"]) for host, name in names.items() if name["age"] is not None]
    yield from _family("dns_answer_age_seconds", "gauge", "Since the name was last answered for.", ages)
    failing = [({"host": host}, float(name["problem"] is not None)) for host, name in names.items()]
    yield from _family("dns_failing", "gauge", "Whether the last question for the name failed.", failing)
    for key, text in (
        ("dns_queries", "Questions for names."),
        ("dns_failures", "Questions for names that were not answered with an address."),
        ("probes", "Probes sent."),
        ("readings", "Readings of the interface."),
    ):
        yield from _family(f"{key}_total", "counter", text, [({}, float(view[key]))])


def _states(peers: Iterable[Mapping[str, Any]]) -> list[Sample]:
    return [({**_of(peer), "state": state}, float(peer["state"] == state)) for peer in peers for state in STATES]


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
