"""Notice when somebody else uses the responder's credential.

Each change that the responder makes carries a mark that only Tocsin can make. A change by its
user without one was made with a stolen credential, whether it was allowed or not. What only
reads is left to the rules, as with any other user: Tocsin's own checks read without a mark.
"""

from collections.abc import Callable, Iterable, Sequence

from tocsin.attack.catalog import catalog
from tocsin.model.errors import Location
from tocsin.model.event import NO_OBJECT, AuditEvent, User
from tocsin.rules.ir import AnyOf, Rule

RULE_ID = "tocsin-responder-credential"

_READS = frozenset({"get", "list", "watch"})
# A `get` of these is a way into a container or node, not a look at an object.
_ENTRANCES = frozenset({"exec", "attach", "portforward", "proxy"})
# Questions about oneself, which are asked by creating an object that is never stored.
_QUESTIONS = frozenset(
    {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
)

Verified = Callable[[str, str], bool]
"""Whether a request to a cluster with this Audit-ID is the responder's own."""


def credential_rule() -> Rule:
    """Return the rule under which a stolen credential is told."""
    return Rule(
        id=RULE_ID,
        title="The responder's credential was used by somebody else",
        dialect="tocsin",
        severity="critical",
        level="critical",
        match=AnyOf(()),
        at=Location("tocsin/detect/credential.py"),
        message="$(user.username) asked for $(verb) $(objectRef.resource) "
        "$(objectRef.namespace)/$(objectRef.name), and it was not the responder: "
        "replace its credential and look at what else this user did",
        fields=("user.username", "sourceIPs", "userAgent"),
        attack=tuple(catalog().technique(one) for one in ("T1528", "T1078.004")),
    )


class OwnCredential:
    """The user that the responder acts as, watched for requests that are not its own."""

    def __init__(self, account: str, verified: Verified) -> None:
        self._account = account
        self._verified = verified

    def misused(self, events: Iterable[AuditEvent], cluster: str) -> Sequence[int]:
        """Return the indices of requests that somebody else made as the responder's user."""
        account = self._account
        return [
            index
            for index, event in enumerate(events)
            if (_is(account, event.user) or _is(account, event.impersonated_user))
            and _changes(event)
            and not self._verified(cluster, event.audit_id)
        ]


def _is(account: str, user: User | None) -> bool:
    return user is not None and user.username == account


def _changes(event: AuditEvent) -> bool:
    ref = event.object_ref or NO_OBJECT
    if event.verb in _READS:
        return ref.subresource in _ENTRANCES
    return not (event.verb == "create" and ref.resource in _QUESTIONS)
