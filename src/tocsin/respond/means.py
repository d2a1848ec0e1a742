"""What the executor works with: clusters, actions, and what only the runtime can tell it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.response import Plan
from tocsin.respond.actions.base import Action, Cluster, Prepared
from tocsin.respond.guard import Policy
from tocsin.respond.marks import Marks


class EvidenceError(TocsinError):
    """A snapshot of what a response will destroy could not be taken or kept."""


@dataclass(frozen=True, slots=True)
class Means:
    """What responses are made with.

    Attributes:
        clusters: those that the responder has access to.
        actions: by their names.
        marks: makes the Audit-IDs of a cluster.
        policy: the operator's limits for a response rule, by its name.
        stopped: why nothing may be changed now, None if it may; asked before every change.
        holds: whether an alert's condition still holds in its cluster, None if it cannot be
            told. Raises ApiError where the cluster cannot be asked.
        snapshot: keeps evidence of what a response will destroy; returns what of it goes into
            the journal. Raises EvidenceError.
        evidence_required: whether nothing is destroyed without such a snapshot.
        approval_seconds: for how long a response can be approved.
        clock: seconds since the epoch.
    """

    clusters: Mapping[str, Cluster]
    actions: Mapping[str, Action]
    marks: Callable[[str], Marks]
    policy: Callable[[str], Policy]
    stopped: Callable[[], str | None]
    holds: Callable[[Alert, Cluster], bool | None]
    snapshot: Callable[[Plan, Prepared, Cluster], Mapping[str, object]]
    evidence_required: bool
    approval_seconds: float
    clock: Callable[[], float]
