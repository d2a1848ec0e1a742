"""What a response is: what is asked for, what it would do, and each step that it took.

A response is one action on one live object, asked for by one alert or by a person. Its id is
made of these, so that the same is never done twice. Strings in it may be chosen by an attacker,
like those of alerts.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, get_args

import msgspec

Mode = Literal["dry-run", "approve", "auto"]
"""Only say what would be done; do it once a person agrees; do it at once."""

State = Literal[
    "planned",
    "refused",
    "simulated",
    "awaiting-approval",
    "rejected",
    "expired",
    "approved",
    "started",
    "done",
    "failed",
    "unknown",
    "verified",
    "undoing",
    "undone",
]

MODES: tuple[Mode, ...] = get_args(Mode)
STATES: tuple[State, ...] = get_args(State)
# Nothing more happens by itself to a response in one of these.
FINAL: frozenset[State] = frozenset({"refused", "simulated", "rejected", "expired", "failed"})
# It changed the cluster, or may have.
ACTED: frozenset[State] = frozenset({"started", "done", "unknown", "verified", "undoing", "undone"})

# Codes of answers of the API server: what was asked for is done, or accepted.
SUCCESS = range(200, 300)

Verb = Literal["create", "patch", "delete"]


class ObjectRef(msgspec.Struct, frozen=True, kw_only=True):
    """An object of the API: where it lies and, once it was read, its `uid`.

    `resource` is the plural, `api_group` is empty for the core group.
    """

    api_group: str = ""
    version: str = "v1"
    resource: str
    namespace: str | None = None
    name: str
    uid: str | None = None

    @property
    def path(self) -> str:
        """The object's path on the API server; names are checked when they are taken in."""
        return f"{self.collection}/{self.name}"

    @property
    def collection(self) -> str:
        """The path of all objects of its kind and namespace."""
        group = f"/apis/{self.api_group}" if self.api_group else "/api"
        namespace = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{group}/{self.version}{namespace}/{self.resource}"

    @property
    def words(self) -> str:
        """The object in words: `pods shop/web-1`."""
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource} {place}"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One change that a response asks the API server for.

    Attributes:
        verb: what is asked.
        target: the object; of one to be created it has no uid.
        subresource: such as `scale`.
        body: the object to create; the operations of a JSON patch, which begin with `test`
            operations on the uid and on what is replaced; the options of a deletion, whose
            preconditions hold the uid.
        title: what it does, in a few words.
    """

    verb: Verb
    target: ObjectRef
    subresource: str | None = None
    body: object = None
    title: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An action on one object that an alert or a person asks for, not yet allowed.

    Attributes:
        id: digest of response rule, alert, action and target: 32 hex digits.
        cluster: the cluster.
        rule: name of the response rule in the configuration, or `manual`.
        action: name of the action.
        parameters: its parameters, complete, as JSON values.
        target: the object, as the alert names it; its uid may be unknown.
        root: the UID of what would re-create the object, or its own; empty until it was read.
        alert_id: the alert that asks for it; empty if a person does.
        rule_id: the rule of that alert.
        user: who caused the alert; what the response is against.
        mode: how far it may go by itself.
        asked_at: when, in seconds since the epoch.
        asked_by: the person who asked for it, or `tocsin`.
        evidence_at: time of the alert's event, in seconds since the epoch.
        undo_after: seconds after which it is undone by itself; 0 for never.
        destructive: whether it takes away something that undo cannot bring back.
        reversible: whether there is an undo.
    """

    id: str
    cluster: str
    rule: str
    action: str
    parameters: dict[str, object] = {}
    target: ObjectRef
    root: str = ""
    alert_id: str = ""
    rule_id: str = ""
    user: str | None = None
    mode: Mode = "dry-run"
    asked_at: float
    asked_by: str = "tocsin"
    evidence_at: float = 0.0
    undo_after: float = 0.0
    destructive: bool = True
    reversible: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal: what became of a response, written before it is acted on.

    Attributes:
        seq: number of the line, from 1.
        time: seconds since the epoch.
        response: the response's id; empty for what concerns all of them, as `stopped`.
        state: the state that it is in from now on; None where that does not change.
        text: what a reader needs to know, in a sentence.
        who: the person who decided, or `tocsin`.
        data: what belongs to the step: the plan, the calls, snapshots, answers, ids.
        previous: code of the line before.
        code: made of all of this with a key, so that a change shows.
    """

    seq: int
    time: float
    response: str
    state: State | None
    text: str
    who: str = "tocsin"
    data: dict[str, object] = {}
    previous: str = ""
    code: str = ""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response as people see it: what was planned, and where it stands.

    Attributes:
        plan: what was asked for; after its target was read, with its uid.
        state: where it stands.
        text: the latest sentence about it, such as why it was refused.
        digest: of action, target uid and parameters; what an approval is given for.
        calls: the changes it asks for.
        expires: until when it can be approved, in seconds since the epoch; 0 if it cannot.
        updated: when it last changed, in seconds since the epoch.
        undo_at: when it is undone by itself, in seconds since the epoch; 0 for never.
        proved: how many of its calls the API server's audit log confirmed.
        effect: what it does to the object, and what it does not, in plain words.
    """

    plan: Plan
    state: State
    text: str = ""
    digest: str = ""
    calls: tuple[Call, ...] = ()
    expires: float = 0.0
    updated: float
    undo_at: float = 0.0
    proved: int = 0
    effect: str = ""


OrderKind = Literal["approve", "reject", "undo", "ask"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks the responder to do; it decides whether that may be done.

    Attributes:
        seq: number of the order, in the order of arrival; 0 before it is stored.
        kind: what is asked; `ask` is for a new response to an alert.
        response: the response it is about; for `ask`, the alert's id.
        digest: what the person saw when agreeing; it must still be so.
        action: for `ask`, the name of the action.
        who: the person.
        time: seconds since the epoch.
        note: why.
    """

    seq: int = 0
    kind: OrderKind
    response: str
    digest: str = ""
    action: str = ""
    who: str
    time: float
    note: str = ""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """An audit event of a request of our own, told by its signed Audit-ID."""

    seq: int = 0
    response: str
    audit_id: str
    verb: str
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    code: int | None = None
    time: str


class ResponseFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which responses to show; what is None or empty does not restrict."""

    states: tuple[State, ...] = ()
    cluster: str | None = None
    action: str | None = None
    alerts: tuple[str, ...] = ()


class ResponseStore(Protocol):
    """Responses as the journal tells them, and what people ask of the responder."""

    def response(self, response_id: str) -> Response | None:
        """Return the response with this id, or with the only one that begins so."""
        ...

    def responses(
        self, where: ResponseFilter, limit: int, before: str | None = None
    ) -> list[Response]:
        """Return matching responses, the latest change first; `before` is the last one's id."""
        ...

    def count(self, where: ResponseFilter) -> int:
        """Return how many responses match."""
        ...

    def entries(self, response_id: str) -> list[Entry]:
        """Return the journal's lines of a response, oldest first."""
        ...

    def order(self, order: Order) -> int:
        """Store what a person asks for; return its number."""
        ...

    def orders(self, after: int, limit: int = 100) -> list[Order]:
        """Return orders that arrived after number `after`, oldest first."""
        ...

    def proofs(self, after: int, limit: int = 100) -> list[Proof]:
        """Return audit events of our own requests, stored after number `after`."""
        ...

    def show(self, responses: Sequence[Response], entries: Sequence[Entry]) -> None:
        """Take over what the journal says: replace these responses, add these lines."""
        ...

    def position(self) -> Mapping[str, int]:
        """Return how far the responder got: `alerts`, `orders`, `proofs`, `entries`."""
        ...

    def advance(self, **positions: int) -> None:
        """Note how far the responder got."""
        ...
