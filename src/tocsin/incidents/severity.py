"""How bad an incident is: its worst alert, and worse when it goes far."""

from tocsin.incidents.summary import Summary
from tocsin.model.alert import SEVERITIES, Severity

# From so many tactics on, somebody gets on with an attack rather than tries something.
_BROAD_TACTICS = 4
_BROAD_ANYWAY = 3
# Of so many namespaces or actors, three tactics are enough.
_WIDE_REACH = 3


def severity_of(summary: Summary) -> Severity:
    """Return the severity of an incident.

    It is that of the worst alert, and one step more when alerts not far below it serve many
    tactics, or several tactics in many namespaces or by many actors. How many alerts there
    are does not count: a loop that fails is no worse after an hour. A single medium alert for
    one tactic, such as a developer's shell, is a low incident until anything joins it.
    """
    worst = max((SEVERITIES.index(severity) for severity in summary.counts), default=0)
    if SEVERITIES[worst] == "medium" and _is_alone(summary):
        worst -= 1
    elif worst and _is_broad(summary, worst):
        worst = min(worst + 1, len(SEVERITIES) - 1)
    return SEVERITIES[worst]


def _is_alone(summary: Summary) -> bool:
    return summary.alerts - summary.counts.get("info", 0) == 1 and len(summary.tactics) == 1


def _is_broad(summary: Summary, worst: int) -> bool:
    tactics = sum(SEVERITIES.index(severity) >= worst - 1 for severity in summary.tactics.values())
    namespaces = {contact.entity.namespace for contact in summary.entities.values()} - {None}
    reach = max(len(namespaces), len(summary.actors))
    return tactics >= _BROAD_TACTICS or (tactics >= _BROAD_ANYWAY and reach >= _WIDE_REACH)
