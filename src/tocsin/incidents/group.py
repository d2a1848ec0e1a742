"""Decide which incident an alert belongs to: it joins one, opens one, or makes several one.

Two alerts belong together when they share a link and are close in time, and so do all that
are connected over others. That does not depend on the order in which they arrive. Facts are
context: they join every incident they are close to, and connect nothing.
"""

from tocsin.incidents.case import Case, absorb, new_case
from tocsin.incidents.identities import Shared
from tocsin.incidents.links import Link, Links, Search, is_fact, links_of
from tocsin.incidents.memory import Memory, Span
from tocsin.incidents.timing import CONTEXT_SECONDS, WINDOW_SECONDS, seconds
from tocsin.model.ports import StoredAlert


def place(stored: StoredAlert, shared: Shared, memory: Memory, now: float) -> None:
    """Put an alert where it belongs.

    Args:
        stored: the alert.
        shared: identities that do not tie alerts together.
        memory: what was grouped before.
        now: in seconds since the epoch.
    """
    links = links_of(stored.alert, shared, authenticated=stored.authenticated)
    time = seconds(stored.alert.time)
    if is_fact(stored.alert):
        _place_fact(stored, links, time, memory)
        return
    near = [Search(link) for link in links.mutual]
    case = _case_for(stored, _found([*near, *links.sought], time, memory), memory, now)
    if memory.join(case, stored):
        case.summary.add(stored.alert)
        case.reopen(now, f"new evidence: {stored.alert.rule.title} at {stored.alert.time}")
    for link in links.mutual:
        for start, end in _leave(link, case, time, memory):
            _add_context(case, link, start, end, memory)
    for link in links.left:
        _leave(link, case, time, memory)
    for search in links.sought:
        _add_context(case, search.link, time - search.before, time + search.after, memory)


def _place_fact(stored: StoredAlert, links: Links, time: float, memory: Memory) -> None:
    near = [Search(link, CONTEXT_SECONDS, CONTEXT_SECONDS) for link in links.mutual]
    for incident_id in _found([*near, *links.sought], time, memory):
        _join_fact(memory.case(incident_id), stored, memory)
    memory.remember((*links.mutual, *links.left), time, stored)


def _found(searches: list[Search], time: float, memory: Memory) -> list[str]:
    """Return the ids of the incidents that an alert is close to, in a fixed order."""
    found = {
        span.incident
        for search in searches
        for span in memory.spans(search.link, time - search.before, time + search.after)
    }
    return sorted(found)


def _case_for(stored: StoredAlert, found: list[str], memory: Memory, now: float) -> Case:
    """Return the one incident that all found ones become, or a new one."""
    if not found:
        return memory.open(new_case(stored.alert, now))
    # The larger one stays, so that no alert is moved often.
    case, *others = sorted(
        map(memory.case, found), key=lambda case: (-case.summary.alerts, case.opened, case.id)
    )
    for other in others:
        in_both = memory.move(other, case)
        absorb(case, other, now)
        case.summary.forget_facts(in_both)
    return case


def _leave(link: Link, case: Case, time: float, memory: Memory) -> list[tuple[float, float]]:
    """Leave a link behind; return from when to when the incident is close to it since now."""
    old = [
        span
        for span in memory.spans(link, time - WINDOW_SECONDS, time + WINDOW_SECONDS)
        if span.incident == case.id
    ]
    first = min((time, *(span.first for span in old)))
    last = max((time, *(span.last for span in old)))
    if len(old) == 1 and (first, last) == (old[0].first, old[0].last):
        return []
    memory.widen(link, case, first, last, old)
    return _newly_close(first, last, old)


def _newly_close(first: float, last: float, old: list[Span]) -> list[tuple[float, float]]:
    """Return the times that are close to a span, and were not to those in its place before."""
    new, start = [], first - CONTEXT_SECONDS
    for span in sorted(old, key=lambda span: span.first):
        if span.first - CONTEXT_SECONDS > start:
            new.append((start, span.first - CONTEXT_SECONDS))
        start = max(start, span.last + CONTEXT_SECONDS)
    if start < last + CONTEXT_SECONDS:
        new.append((start, last + CONTEXT_SECONDS))
    return new


def _add_context(case: Case, link: Link, first: float, last: float, memory: Memory) -> None:
    for fact in memory.facts(link, first, last):
        _join_fact(case, fact, memory)


def _join_fact(case: Case, fact: StoredAlert, memory: Memory) -> None:
    if memory.join(case, fact):
        case.summary.add_fact(fact.alert)
