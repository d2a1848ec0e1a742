"""An exclusion proposed from an alert: a Sigma filter document for its rule.

Pure text. Every value is quoted and escaped, whatever an attacker called a user or a namespace.
"""

import uuid

from tocsin.model.alert import Alert
from tocsin.model.digest import digest
from tocsin.model.matcher import Matcher, escape
from tocsin.rules.sigmatext import literal, quoted


def exclusion(alert: Alert) -> tuple[Matcher, str] | None:
    """Return what an exclusion hides, and its text; None where there is none to propose.

    That is so for rules of other dialects, and for alerts without a user and a namespace.
    """
    fields = {"user.username": alert.actor.user, "objectRef.namespace": alert.target.namespace}
    given = {path: text for path, text in fields.items() if text}
    if alert.rule.dialect != "sigma" or not given:
        return None
    matcher = Matcher(
        rule=escape(alert.rule.id),
        user=escape(alert.actor.user or "") or None,
        namespace=escape(alert.target.namespace or "") or None,
    )
    lines = [
        f"title: {quoted(f'Expected: {alert.rule.title[:200]}')}",
        f"id: {uuid.UUID(hex=digest('exclusion', alert.id))}",
        "description: Say who does this for which reason, and who agreed to it.",
        "logsource: {product: kubernetes, service: audit}",
        "filter:",
        f"  rules: [{quoted(alert.rule.id)}]",
        "  expected:",
        *(f"    {path}: {literal(text)}" for path, text in given.items()),
        "  condition: not expected",
    ]
    return matcher, "\n".join(lines) + "\n"
