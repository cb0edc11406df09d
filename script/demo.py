"""The demo: four sites with real WireGuard, a git host and DNS in namespaces, by the commands a person would type."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import demo_page

from lab import PLACES, Host, Lab, Site, available, reachability, reference_mesh, steady_ping
from lab.firewall import LETS_NOTHING_BEGIN
from lab.nat import EASY
from lab.tree import HOME

COLOURS = sys.stdout.isatty()
MESH = f"{HOME}/mesh"
KEY = f"{HOME}/.ssh/id_ed25519"
STOLEN = f"{HOME}/stolen"
DEADLINE = 6
"""[confirm] deadline of aws in seconds; 30 by default."""
NEW_SUBNET, NEW_HOST = "192.168.21.0/24", "192.168.21.10"
NEW_WAN = "203.0.113.112"
FLEET = ["mesh-sync", "fleet"]
PATIENT = 180
"""Seconds for a command; what else the machine does may make it slow."""
SETTLE, PATIENCE = 12, 30
"""Seconds of traffic before azure moves, and the deadline for reaching it again."""


def main() -> int:
    """Run the demo; exit 0 if every step ended as it should."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the mesh up, and say how to enter a node")
    parser.add_argument(
        "--web", action="store_true",
        help="build the mesh, and leave it up with the operator's page on it, until Ctrl-C",
    )  # fmt: skip
    asked = parser.parse_args()
    if reason := available():
        print(f"the demo cannot run here: {reason}", file=sys.stderr)
        return 1
    began = time.monotonic()
    with Lab() as lab:
        say("Four sites, each with a NAT router, a gateway and a host behind it; a git host; a DNS server")
        sites = reference_mesh(lab)
        for place in PLACES:
            print(f"  {place.name:8} {place.endpoint:18} gateway {place.mesh_address}  host in {place.lan}")
        lab.git  # noqa: B018  (it boots on first use)
        found_mesh(lab)
        join(lab, sites)
        apply(sites)
        watchdogs = watch(sites)
        complete = matrix(sites)
        if asked.web:
            return web(lab, sites) if complete else 1
        arrived = change(lab, sites)
        refused = attack(lab, sites)
        restored = slip(lab, sites)
        recovered = move(lab, sites, watchdogs)
        met = meet(lab, sites)
        agreed = survey(sites["aws"].gateway, "Who has which commit, and reaches whom")
        fine = complete and arrived and refused and restored and recovered and met and agreed
        say(f"{'Done' if fine else 'FAILED'} after {time.monotonic() - began:.0f} s")
        if asked.keep:
            stay(sites)
    return 0 if fine else 1


def found_mesh(lab: Lab) -> None:
    say("An operator creates the mesh repository, signs it with her SSH key, and pushes it")
    who = ["--signer", "alice@example.org", "--signing-key", KEY]
    typed(lab.operator, ["mesh-sync", "init", MESH, "--name", "demo", "--network", "10.0.0.0/24", *who])
    push(lab)
    typed(lab.operator, ["mesh-sync", "signer", "list", "-C", MESH])


def join(lab: Lab, sites: Mapping[str, Site]) -> None:
    say("Every gateway joins: it pins the mesh by the fingerprint from alice, and generates its keys, which stay there")
    for place in PLACES:
        admit(lab, sites[place.name], "--endpoint", place.endpoint, "--subnet", place.lan, "--masquerade", "eth0")


def admit(lab: Lab, site: Site, *where: str) -> None:
    """Let a gateway join, and alice add what it says."""
    listing = lab.operator.run(["mesh-sync", "signer", "list", "-C", MESH, "--json"]).stdout
    whom = ["--trust", "signed", "--fingerprint", json.loads(listing)["fingerprint"]]
    words = ["mesh-sync", "join", lab.git.url, "--name", site.name, *where, *whom]
    said = typed(site.gateway, words, status=1)
    [told] = (line.strip() for line in said.splitlines() if line.strip().startswith("mesh-sync peer add"))
    typed(lab.operator, shlex.split(told), cwd=MESH)
    push(lab)
    typed(site.gateway, words)


def push(lab: Lab) -> None:
    typed(lab.operator, ["git", "-C", MESH, "push", "-q", lab.git.url, "HEAD:main"])


def apply(sites: Mapping[str, Site]) -> None:
    say("Every gateway applies the list; on a real node mesh-sync.timer does this every minute")
    for site in sites.values():
        typed(site.gateway, ["mesh-sync", "now"])


def watch(sites: Mapping[str, Site]) -> Mapping[str, Path]:
    """Start a watchdog on every gateway; return the log of each."""
    say("Every gateway has a watchdog; on a real node mesh-watchdog.service runs it")
    said = {}
    for name, site in sites.items():
        print(paint(f"{name}# mesh-watchdog run &", "1"))
        said[name] = site.gateway.directory / "watchdog.log"
        with said[name].open("wb") as log:
            site.gateway.popen(["mesh-watchdog", "run"], stdout=log.fileno())
    return said


def matrix(sites: Mapping[str, Site]) -> bool:
    """Print who reaches whom, from gateways and from hosts behind them; return whether all do."""
    say("Who reaches whom (ping): gateways by their mesh address, hosts by their address in the private network")
    sources = {site.gateway.name: site.gateway for site in sites.values()}
    sources |= {site.host.name: site.host for site in sites.values()}
    targets = {f"{place.name}-gw": place.mesh_address for place in PLACES}
    targets |= {f"{name}-host": str(site.lan.v4[10]) for name, site in sites.items()}
    pairs = [(host, targets[name]) for host in sources.values() for name in targets if name != host.name]
    answers = reachability(pairs)
    print(" " * 14 + "".join(f"{name:>12}" for name in targets))
    for source in sources:
        cells = ("-" if name == source else "yes" if answers[source, targets[name]] else "NO" for name in targets)
        print(f"  {source:12}" + "".join(f"{cell:>12}" for cell in cells))
    return all(answers.values())


def change(lab: Lab, sites: Mapping[str, Site]) -> bool:
    """Give azure a second network by a commit; return whether it arrived without disturbing other sites."""
    say(f"A change: azure gets a second network, {NEW_SUBNET}. One line in one file, and a push")
    sites["azure"].host.ip(f"address add {NEW_HOST}/24 dev eth0")
    sites["azure"].gateway.ip(f"address add {NEW_HOST.rpartition('.')[0]}.2/24 dev eth0")
    operator = lab.operator
    file = operator.path(f"{MESH}/peers/azure.toml")
    file.write_text(file.read_text().replace('"192.168.20.0/24"', f'"192.168.20.0/24", "{NEW_SUBNET}"'))
    typed(operator, ["git", "-C", MESH, "diff", "--unified=0"])
    typed(operator, ["mesh-sync", "check", MESH])
    typed(operator, ["mesh-sync", "plan", "-C", MESH, "HEAD"])
    typed(operator, ["git", "-C", MESH, "commit", "-q", "-am", "azure: a second network"])
    push(lab)
    pushed, aws = time.monotonic(), sites["aws"].gateway
    with steady_ping(sites["gcp"].host, str(sites["aliyun"].lan.v4[10])) as loss:
        say("The first node that sees it tells the others, over the tunnels; its mesh-sync.timer looks every minute")
        typed(aws, ["mesh-sync", "now"])
        typed(aws, FLEET, status=None)
        agreed = survey(aws, "Every node can ask all others, over the tunnels: all of them have it")
        print(f"  {time.monotonic() - pushed:.1f} s after the push")
    reached = all(reachability([(site.host, NEW_HOST) for name, site in sites.items() if name != "azure"]).values())
    say(f"The hosts of the other sites {'reach' if reached else 'do NOT reach'} {NEW_HOST}")
    print(f"  meanwhile gcp-host pinged aliyun-host {loss.sent} times at 100/s: {loss.lost} lost")
    return agreed and reached and loss.lost == 0


def attack(lab: Lab, sites: Mapping[str, Site]) -> bool:
    """A thief who can push, without a signing key, claims all traffic; return whether nothing changed."""
    say("An attack: a thief with a password for the git host wants all traffic to pass through gcp")
    thief, aws = lab.operator, sites["aws"].gateway
    before = interface(aws)
    typed(thief, ["git", "clone", "-q", lab.git.url, STOLEN])
    file = thief.path(f"{STOLEN}/peers/gcp.toml")
    file.write_text(file.read_text().replace('"192.168.30.0/24"', '"192.168.30.0/24", "0.0.0.0/0"'))
    typed(thief, ["git", "-C", STOLEN, "commit", "-q", "-am", "gcp: nothing to see here"])
    typed(thief, ["git", "-C", STOLEN, "push", "-q", "origin", "main"])
    typed(aws, ["mesh-sync", "now"], status=4)
    untouched = interface(aws) == before
    say(f"aws's interface is {'as it was' if untouched else 'NOT as it was'}; alice restores the branch")
    typed(lab.operator, ["git", "-C", MESH, "push", "-q", "--force", lab.git.url, "HEAD:main"])
    typed(aws, ["mesh-sync", "now"])
    return untouched


def slip(lab: Lab, sites: Mapping[str, Site]) -> bool:
    """A signed commit that cuts aws off from the git host; return whether aws rolled it back by itself."""
    say("A slip: alice lists a new exit for all traffic, hq, which is not set up yet")
    operator, aws = lab.operator, sites["aws"].gateway
    before = interface(aws)
    settings = aws.path("/etc/mesh-sync/node.toml")
    settings.write_text(f"{settings.read_text()}\n[confirm]\ndeadline = {DEADLINE}\n")
    lab.dns.set("hq.com", "203.0.113.77")
    exit_ = ["--endpoint", "hq.com:51820", "--subnet", "0.0.0.0/0", "--subnet", "::/0"]
    typed(operator, ["mesh-sync", "peer", "add", "hq", "--new-key", f"{HOME}/hq.key", *exit_, "--commit"], cwd=MESH)
    typed(operator, ["mesh-sync", "peer", "set", "aws", "--exit", "hq", "--commit"], cwd=MESH)
    push(lab)
    typed(aws, ["mesh-sync", "now"], status=5)
    restored = interface(aws) == before
    say(f"aws's interface is {'as it was before' if restored else 'NOT as it was before'}; alice removes hq")
    typed(operator, ["mesh-sync", "peer", "set", "aws", "--unset", "exit", "--commit"], cwd=MESH)
    typed(operator, ["mesh-sync", "peer", "remove", "hq", "--commit"], cwd=MESH)
    push(lab)
    apply(sites)
    return restored and interface(aws) == before


def interface(node: Host) -> tuple[str, ...]:
    """What a commit can change of a node's interface."""
    shown = (["wg", "show", "wg0", "allowed-ips"], ["ip", "-brief", "address"], ["ip", "route"], ["ip", "rule"])
    return tuple("\n".join(sorted(node.run(words).stdout.splitlines())) for words in shown)


def move(lab: Lab, sites: Mapping[str, Site], watchdogs: Mapping[str, Path]) -> bool:
    """Give azure's router another address; return whether all others reach it again, and each other throughout.

    The router lets azure only answer, so azure cannot announce its new address: only its name in DNS does.
    """
    azure, others = sites["azure"], [site for name, site in sites.items() if name != "azure"]
    target = str(azure.lan.v4[10])
    say(f"azure's provider gives it another address, {NEW_WAN}, and its DDNS service updates azure.com")
    print("  azure does not notice, and its firewall lets it only answer: the others have to find it themselves")
    azure.router.nft(LETS_NOTHING_BEGIN)
    azure.router.forget_translations()  # of what azure began
    with ExitStack() as stack:
        losses = {site.host.name: stack.enter_context(steady_ping(site.host, target, interval=0.1)) for site in others}
        neighbours = stack.enter_context(steady_ping(sites["gcp"].host, str(sites["aliyun"].lan.v4[10]), interval=0.1))
        time.sleep(SETTLE)  # so that the traffic is known to flow
        moved = time.monotonic()
        azure.router.renumber(NEW_WAN)
        for site in others:  # who remembers the router's MAC address would still find it by the old address
            site.router.run(["ip", "neigh", "flush", "all"])
        lab.dns.set("azure.com", NEW_WAN, "2001:db8::12", ttl=5)
        back = {site.host.name: False for site in others}
        while not all(back.values()) and time.monotonic() < moved + PATIENCE:
            back = {name: answered for (name, _), answered in reachability([(s.host, target) for s in others]).items()}
    time.sleep(2)  # until they have logged it
    print(f"  {'from':12}{'to':12}{'lost':>8}{'silence':>10}")
    for name, loss in losses.items():
        outcome = f"{loss.longest_silence:.1f} s" if back[name] else "NOT BACK"
        print(f"  {name:12}{'azure-host':12}{loss.lost:>8}{outcome:>10}")
    print(f"  {'gcp-host':12}{'aliyun-host':12}{neighbours.lost:>8}{neighbours.longest_silence:>8.1f} s")
    said = [f"{name}# {line}" for name, log in watchdogs.items() for line in log.read_text().splitlines()]
    for line in said:
        if "azure" in line and ("does not answer" in line or "is back" in line):
            print(f"  {line}")
    return all(back.values()) and not neighbours.lost


def meet(lab: Lab, sites: Mapping[str, Site]) -> bool:
    """Let two sites that cannot be reached from outside join; return whether they reach each other directly."""
    say("Two sites more, a boat and a cabin, each behind a carrier's NAT: no name, no address of its own, no open port")
    mobile: dict[str, Site] = {}
    for number, name in enumerate(("boat", "cabin")):
        line = lab.provider(f"{name}-isp")
        carrier = lab.carrier(f"{name}-carrier", str(line.network.v4[9]), EASY.accepting(), at=line)
        lan = f"192.168.{50 + number}.0/24"
        mobile[name] = lab.site(name, lan, "100.64.0.7", nat=EASY.accepting(), at=carrier.line)
        admit(lab, mobile[name], "--subnet", lan, "--masquerade", "eth0")
    apply({**sites, **mobile})
    watch(mobile)
    boat, cabin = mobile["boat"].gateway, mobile["cabin"]
    pair, asked = (mobile["boat"].host, str(cabin.lan.v4[10])), time.monotonic()
    reached = False
    while not reached and time.monotonic() < asked + PATIENCE:
        reached = all(reachability([pair]).values())
    seconds = time.monotonic() - asked
    typed(boat, ["mesh-watchdog", "status"])
    say(f"boat-host {'reaches' if reached else 'does NOT reach'} cabin-host directly, {seconds:.1f} s after both began")
    return reached


def survey(node: Host, text: str) -> bool:
    """Ask the whole mesh which commit it has, until all nodes have the same; return whether they do."""
    say(text)
    asked = time.monotonic()
    while status := node.run(FLEET, check=False).returncode:
        if time.monotonic() > asked + PATIENCE:
            break
    typed(node, FLEET, status=status)
    return not status


def web(lab: Lab, sites: Mapping[str, Site]) -> int:
    """Leave the mesh up, with the page of alice on the gateway of aws."""
    say("alice opens the operator's page, in a clone on aws: it asks the nodes, and changes the mesh by pushes")
    code, socket = demo_page.begin(sites["aws"].gateway, lab.git.daemon_url, lab.operator.path(KEY))
    demo_page.stay(sites, socket, code)
    return 0


def stay(sites: Mapping[str, Site]) -> None:
    say("The mesh stays up until you press Ctrl-C. To enter a node, as the user who runs this:")
    for site in sites.values():
        enter = shlex.join([*site.gateway.tree.enter, "env", f"HOME={HOME}", "bash"])
        print(f"  {site.gateway.name:10} {enter}")
    sys.stdout.flush()
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


def typed(host: Host, argv: list[str], *, status: int | None = 0, cwd: str | None = None) -> str:
    """Show a command as it is typed on a host, and what it prints; return that. ``status``: how it must end."""
    name = host.name.removesuffix("-gw")
    print(paint(f"{name}# {shlex.join(argv)}", "1"), flush=True)
    done = host.run(argv, check=False, timeout=PATIENT, cwd=cwd)
    said = done.stdout + done.stderr
    for line in said.splitlines():
        print(f"  {line}")
    if done.returncode:
        print(f"  (exit {done.returncode})")
    if status is not None and done.returncode != status:
        raise SystemExit(f"that ended with status {done.returncode}, not {status}")
    return said


def say(text: str) -> None:
    print("\n" + paint(f"== {text}", "1;36"), flush=True)


def paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOURS else text


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; everything is cleaned up")
    except subprocess.TimeoutExpired as late:
        sys.exit(f"{shlex.join(map(str, late.cmd))} gave no answer within {late.timeout:g} s")
