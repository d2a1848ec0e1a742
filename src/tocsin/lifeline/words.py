"""What is wrong with a source, in a word."""

from collections.abc import Iterable

from tocsin.lifeline import health
from tocsin.model.ports import HealthFinding, SourceState

# What a finding makes of a source.
_WORDS = {
    health.SILENT: "silent",
    health.GAP: "events missing",
    health.OUTAGE: "events late",
    health.SKEW: "wrong clock",
    health.STALE: "old events",
}


def state_of(state: SourceState, findings: Iterable[HealthFinding]) -> str:
    """Return what is wrong with a source in a few words, `ok` if nothing is."""
    words = []
    for finding in findings:
        if finding.kind != health.KIND:
            continue
        rule, place, *detail = finding.key.split(" ")
        here = place == f"{state.cluster}/{state.node or '-'}"
        if here and rule in _WORDS and (rule != health.SILENT or detail == [state.source]):
            words.append(_WORDS[rule])
    return ", ".join(dict.fromkeys(words)) or "ok"
