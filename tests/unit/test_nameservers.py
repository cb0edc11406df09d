"""Which nameserver is asked when, whatever the others reply and however long they take."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.names.nameservers import DOUBT, PATIENCE, STAGGER, VERSIONS, Query, Race, Reply, Unresolved

ADDRESS = {4: ip_address("192.0.2.1"), 6: ip_address("2001:db8::1")}
SILENT = None
END = 3.0
REPLIES = st.sampled_from([SILENT, "address", Unresolved.NO_NAME, Unresolved.NO_ADDRESS, Unresolved.FAILURE])


@given(
    st.lists(
        st.fixed_dictionaries({version: st.tuples(REPLIES, st.floats(0, 2.5)) for version in VERSIONS}), max_size=4
    )
)
def test_every_race_ends_and_finds_what_was_said_in_time(
    servers: list[dict[int, tuple[Unresolved | str | None, float]]],
) -> None:
    race, moment = Race(len(servers)), 0.0
    coming = dict[Query, float]()
    asked = list[Query]()
    for _ in range(100):
        if race.is_over(moment) or moment >= END:
            break
        for query in race.due(moment):
            asked.append(query)
            said, after = servers[query[0]][query[1]]
            if said is not SILENT:
                coming[query] = moment + after
        next_reply = min(coming, key=lambda query: coming[query], default=None)
        moment = min(moment + max(race.wait(moment), 1e-6), END, coming[next_reply] if next_reply else END)
        if next_reply and coming[next_reply] <= moment:
            del coming[next_reply]
            said, _ = servers[next_reply[0]][next_reply[1]]
            addresses = (ADDRESS[next_reply[1]],) if said == "address" else ()
            reason = said if isinstance(said, Unresolved) else None
            race.take(next_reply, Reply(addresses, 60.0, reason), moment)
    else:
        raise AssertionError("it goes on and on")
    assert len(asked) == len(set(asked)), "no nameserver is asked twice"
    answer = race.answer("a.example")
    found = {query for query, reply in race.replies.items() if reply.addresses}
    assert set(answer.addresses) == {ADDRESS[version] for _, version in found}
    assert (answer.reason is None) == bool(found)
    if not found and moment < END:
        assert len(asked) == len(servers) * len(VERSIONS), "no other one was asked"


def test_a_slow_one_is_helped_by_the_next_and_a_denial_is_doubted() -> None:
    race = Race(2)
    assert race.due(0.0) == ((0, 4), (0, 6))
    assert race.due(STAGGER / 2) == ()
    assert race.wait(0.0) == STAGGER
    race.take((0, 4), Reply(reason=Unresolved.NO_NAME), 0.05)
    race.take((0, 6), Reply(reason=Unresolved.NO_NAME), 0.05)
    assert race.due(0.05) == ((1, 4), (1, 6))
    assert not race.is_over(0.05 + DOUBT / 2)
    assert race.is_over(0.05 + DOUBT)
    race.take((1, 4), Reply((ADDRESS[4],), 60.0), 0.1)
    assert not race.is_over(0.1 + PATIENCE[6] / 2)
    assert race.is_over(0.1 + PATIENCE[6])
    assert race.answer("a.example").addresses == (ADDRESS[4],)
