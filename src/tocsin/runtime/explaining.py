"""Why an alert fired, or why a rule does not fire on an event: for `tocsin explain` and pages.

The rules asked are those in force now. Where they are not those that made the alert, that is
said: a tree that contradicts its alert would be worse than none.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from tocsin.detect.audit_ids import RULE as AUDIT_ID_REUSED
from tocsin.detect.credential import RULE_ID as CREDENTIAL_MISUSED
from tocsin.detect.minted import RULE as TOKEN_USED_ELSEWHERE
from tocsin.detect.times import utc
from tocsin.dialects.wazuh.chain import explain_rule
from tocsin.dialects.wazuh.event import Event
from tocsin.model.alert import Alert
from tocsin.model.event import NO_OBJECT, NO_USER, AuditEvent
from tocsin.model.events import FoundEvent
from tocsin.normalize.fields import AUDIT, decode_body
from tocsin.normalize.redact import MARK, holds_secret, redact
from tocsin.rules.correlation import Correlation
from tocsin.rules.explain import Explanation, Node, explain
from tocsin.rules.ir import Rule
from tocsin.rules.paths import last_segment
from tocsin.runtime.pipeline import new_wazuh_node
from tocsin.runtime.rules import InForce
from tocsin.runtime.wazuh import Wazuh
from tocsin.runtime.wazuhnode import LOCATION

_GONE = (
    "The event is no longer retained, or was not found in time: what the alert itself kept is "
    "all there is."
)
_CHANGED = (
    "The rule does not hold for this event now: it was changed after it fired, or it fired on "
    "another stage of the request."
)
# Why checks of Tocsin's own fire, which are no rules that somebody could read.
_OWN = {
    AUDIT_ID_REUSED.id: (
        "This is a check of Tocsin's own: the Audit-ID of this request was used for another "
        "request shortly before. Audit-IDs are chosen by the client, so somebody may be hiding "
        "one of the two."
    ),
    TOKEN_USED_ELSEWHERE.id: (
        "This is a check of Tocsin's own: the API server names each token when it issues it, and "
        "on every request made with it. This one was used from an address that nobody used when "
        "it was requested."
    ),
    CREDENTIAL_MISUSED: (
        "This is a check of Tocsin's own: each change that the responder makes carries a mark "
        "that only Tocsin can make, and this one has none."
    ),
}


def explain_alert(alert: Alert, rules: InForce, found: FoundEvent | None) -> Explanation:
    """Return why an alert fired.

    Args:
        alert: the alert.
        rules: the rules in force.
        found: the event it is from, None if that cannot be had.
    """
    ref = alert.rule
    if ref.dialect == "tocsin" and ref.id in _OWN:
        return Explanation(note=_OWN[ref.id])
    if all((one.dialect, one.id) != (ref.dialect, ref.id) for one in rules.references()):
        place = f"; it stood at {ref.source}" if ref.source else ""
        return Explanation(note=f"The rule {ref.id} is not in force any more{place}.")
    if found is None:
        return Explanation(note=_GONE)
    correlation = next((one for one in rules.correlations if one.id == ref.id), None)
    if correlation is not None:
        return explain_correlation(correlation, rules, found.event)
    root = _tree(alert, rules, found)
    return Explanation(root=root, note="" if root is None or root.holds else _CHANGED)


def _tree(alert: Alert, rules: InForce, found: FoundEvent) -> Node | None:
    ref = alert.rule
    if ref.dialect == "wazuh":
        trees = (
            explain_wazuh(one, int(ref.id), found.event, found.raw, alert.cluster, fired=True)
            for one in rules.wazuh
        )
        return next((tree for tree in trees if tree is not None), None)
    rule = next(one for one in rules.rules if (one.dialect, one.id) == (ref.dialect, ref.id))
    return explain_event(rule, found.event)


def explain_event(rule: Rule, event: AuditEvent) -> Node:
    """Return a rule's condition tree on an event, with secrets taken out of the values."""
    try:
        return explain(rule.match, event, AUDIT, partial(_without_secrets, event))
    finally:
        decode_body.forget()


def explain_correlation(correlation: Correlation, rules: InForce, event: AuditEvent) -> Explanation:
    """Return what a correlation is over, and why an event counts for it, or does not."""
    over = [rule for rule in rules.rules if rule.id in correlation.rules]
    inner = [one for one in rules.correlations if one.id in correlation.rules]
    titles = ", ".join(map(repr, [rule.title for rule in over] + [one.title for one in inner]))
    by = f" with the same {', '.join(correlation.group_by)}" if correlation.group_by else ""
    minutes = correlation.timespan / 60
    note = f"A correlation of events{by} within {minutes:g} minutes. It counts for: {titles}."
    trees = [explain_event(rule, event) for rule in over]
    root = next((tree for tree in trees if tree.holds), trees[0] if trees else None)
    return Explanation(root=root, note=note)


def explain_wazuh(
    wazuh: Wazuh, rule_id: int, event: AuditEvent, raw: bytes, cluster: str, *, fired: bool
) -> Node | None:
    """Return the chain of rules that leads to a Wazuh rule; None if there is no such rule.

    `fired` is whether the rule did fire: what it asks of earlier events is not evaluated again.
    """
    log, result = new_wazuh_node(wazuh).feed(raw, event, cluster)
    time = datetime.fromisoformat(utc(event.stage_timestamp or event.request_received_timestamp))
    seen = Event(log, LOCATION, result.decoded, result.fields, time.timestamp(), hostname=cluster)
    show = partial(_without_secrets, event)
    return explain_rule(wazuh.installation.tree, rule_id, seen, result, show, fired=fired)


def request_of(event: AuditEvent) -> str:
    """Return an event in a few words: who did what to which object."""
    ref = event.object_ref or NO_OBJECT
    resource = "/".join(filter(None, (ref.resource, ref.subresource)))
    target = " ".join(filter(None, (resource, ref.name))) or event.request_uri
    place = f" in {ref.namespace}" if ref.namespace else ""
    return f"{(event.user or NO_USER).username or 'somebody'}: {event.verb} {target}{place}"


def _without_secrets(event: AuditEvent, path: str, texts: Sequence[str]) -> Sequence[str]:
    if _is_secret_data(event, path) or holds_secret(f"{last_segment(path)}=x"):
        return [MARK] * len(texts)
    # Together, as a list may be a command: the text after a flag is the flag's value.
    return redact("\n".join(texts)).split("\n") if texts else []


def _is_secret_data(event: AuditEvent, path: str) -> bool:
    """Whether a path leads to what a Secret holds, under whatever key."""
    parts = path.split(".")
    return (event.object_ref or NO_OBJECT).resource == "secrets" and bool(
        {"data", "stringData"} & set(parts)
    )
