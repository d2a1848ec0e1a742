"""An incident in plain words: its title in one line, its story in a few sentences."""

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import NamedTuple

from tocsin.incidents.phrases import capital, cut, person
from tocsin.incidents.summary import Kind, Moment, Summary
from tocsin.incidents.timing import seconds
from tocsin.incidents.words import among, counted, joined, length
from tocsin.model.alert import SEVERITIES

# What is left out of title and story is counted there, and told by the timeline.
_TITLE_KINDS = 2
_TOLD_KINDS = 8
_CLAUSES = 3
# Shorter pauses are not worth telling.
_PAUSE_SECONDS = 5.0


class _Deed(NamedTuple):
    """The first alert of a rule, and how many there are."""

    moment: Moment
    alerts: int


def title_of(summary: Summary) -> str:
    """Return the title: who, and the worst that was found."""
    kinds = _worst_first(summary)
    titles = list(dict.fromkeys(kind.title for kind in kinds))
    more = len(titles) - _TITLE_KINDS
    shown = [*titles[:_TITLE_KINDS], *([f"{more} more"] if more > 0 else [])]
    first, *others = summary.actors_seen() or ("",)
    who = person(first) + (f" and {counted(len(others), 'other')}" if others else "")
    return capital(f"{who}: {joined(shown)}") if first else joined(shown)


def story_of(summary: Summary) -> str:
    """Return the story: what was done, by whom, in which order, and how far it went."""
    worst = _one_per_request(_worst_first(summary))
    told = sorted(worst[:_TOLD_KINDS], key=lambda deed: (deed.moment.time, deed.moment.alert_id))
    sentences = list(_Teller().tell(told))
    left = len(worst) - len(told)
    if left:
        sentences.append(f"The timeline has {counted(left, 'more deed')}.")
    return " ".join([*sentences, _extent(summary)])


def _worst_first(summary: Summary) -> list[Kind]:
    kinds = [kind for kind in summary.kinds if kind.severity != "info"]
    return sorted(
        kinds, key=lambda kind: (-SEVERITIES.index(kind.severity), kind.moments[0], kind.rule)
    )


def _one_per_request(kinds: Iterable[Kind]) -> list[_Deed]:
    """Return the deeds; what several rules say of one request is told once."""
    deeds: dict[str, _Deed] = {}
    for kind in kinds:
        first = kind.moments[0]
        deeds.setdefault(first.request, _Deed(first, kind.count))
    return list(deeds.values())


class _Teller:
    """Makes sentences of deeds, and remembers what was said before."""

    def __init__(self) -> None:
        self._before: Moment | None = None
        self._issued: dict[str, Moment] = {}
        self._addresses: dict[str, str] = {}

    def tell(self, deeds: list[_Deed]) -> Iterator[str]:
        """Yield sentences of a few deeds each, all by one actor."""
        for (actor, has_phrase), several in groupby(deeds, _by_actor):
            run = list(several)
            if not has_phrase:
                yield from (capital(f"{self._pause(one)}{_whole(one)}.") for one in run)
                continue
            for start in range(0, len(run), _CLAUSES):
                then = "then " if start else ""
                yield capital(self._several(actor, run[start : start + _CLAUSES], then))

    def _several(self, actor: str, deeds: list[_Deed], then: str) -> str:
        """Return what one actor did, in one sentence."""
        first, *rest = deeds
        pause = self._pause(first).replace("later ", "later, ") or then
        clauses = [self._clause(first), *(f"{self._pause(one)}{self._clause(one)}" for one in rest)]
        return f"{pause}{self._subject(actor, first.moment)} {joined(clauses)}."

    def _subject(self, actor: str, moment: Moment) -> str:
        """Return who it is; from where only when that is news."""
        known = self._addresses.get(actor)
        self._addresses[actor] = moment.address
        if not moment.address or known == moment.address:
            return person(actor)
        return f"{person(actor)} (from {moment.address})"

    def _clause(self, deed: _Deed) -> str:
        moment = deed.moment
        source = self._issued.get(moment.credential or "")
        if moment.issued:
            self._issued[moment.issued] = moment
        phrase = among(moment.phrase, deed.alerts)
        if source is not None and source.actor != moment.actor:
            return f"used that token and {phrase}"
        return phrase

    def _pause(self, deed: _Deed) -> str:
        """Return how long after the deed before it was, where that is worth telling."""
        before, self._before = self._before, deed.moment
        if before is None:
            return ""
        passed = seconds(deed.moment.time) - seconds(before.time)
        return f"{length(passed)} later " if passed >= _PAUSE_SECONDS else ""


def _whole(deed: _Deed) -> str:
    return among(cut(deed.moment.text).rstrip("."), deed.alerts)


def _by_actor(deed: _Deed) -> tuple[str, bool]:
    return deed.moment.actor, bool(deed.moment.phrase)


def _extent(summary: Summary) -> str:
    """Return how much it is: alerts, time, tactics, and what was left beside it as context."""
    facts = summary.counts.get("info", 0)
    alerts = summary.alerts - facts
    passed = seconds(summary.last_seen) - seconds(summary.first_seen)
    text = f"In all {alerts:,} alerts within {length(passed)}" if alerts > 1 else "One alert"
    served = chain.from_iterable(each.tactics for each in summary.techniques_seen())
    tactics = [tactic.replace("-", " ") for tactic in dict.fromkeys(served)]
    if tactics:
        text += f", for {joined(tactics)}"
    if facts:
        beside = "them" if alerts > 1 else "it"
        text += f"; {counted(facts, 'ordinary event')} beside {beside} as context"
    return f"{text}."
