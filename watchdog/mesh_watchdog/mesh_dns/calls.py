"""Asking other nodes where a peer is, and having them tell it that it is looked for (`Call`)."""

from __future__ import annotations

import dns.rcode

from mesh_watchdog.mesh_dns import exchange, notices
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.policy.actions import Call
from mesh_watchdog.policy.observations import Reported, Sighting
from mesh_watchdog.sense.sense import Sense

UNDER_WAY = 64
"""Questions at once; further ones are not asked. The policy has bounds of its own."""


class Calls(Sense):
    """Observes the answers to the questions that it is told to ask.

    An observer that knows no place reports none; one that does not answer makes no report.
    """

    def __init__(self, interface: str, views: Views) -> None:
        super().__init__()
        self._interface = interface
        self._views = views

    def place(self, call: Call) -> None:
        """Ask each of the observers, at once."""
        here, directory = self._views.here, self._views.directory
        about = here.key if here.is_me(call.about) else call.about
        own = [Sighting(endpoint, own=True) for endpoint in call.candidates]
        try:
            said = self._views.standing(now=call.now)
            question = notices.notice(
                about, here.key, own, directory.services, relayed=call.relayed, direct=call.direct, standing=said
            )  # fmt: skip
        except ValueError:  # no key (yet)
            return
        for observer in call.observers:
            if observer in directory.peers and len(self._tasks) < UNDER_WAY:
                self.spawn(self._ask(question, observer, call.about))

    async def _ask(self, question: bytes, observer: str, about: str) -> None:
        directory = self._views.directory
        if observer not in directory.peers:
            return
        address = directory.peers[observer].probe
        answer = await exchange.ask(question, address, self._interface, self._views.chatter)
        if answer is None or answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return
        if not answer.question:
            return
        name = answer.question[0].name
        found, said = notices.places(answer, name), notices.standing(answer, name)
        self.inbox.put_nowait(Reported(observer, about, found, said))
