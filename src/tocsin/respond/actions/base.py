"""What an action is: a module that knows one way to change a cluster, and the way back.

An action reads, and says which calls it would make; the executor guards, journals and makes
them. Nothing here decides whether an action may run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.manifest import Manifest
from tocsin.model.response import Call, ObjectRef, Plan

ApiFailure = Literal[
    "denied",  # 401, 403: the credential may not do this
    "gone",  # 404, 410: the object is not there
    "changed",  # 409, and 422 of a JSON patch whose tests fail: it is not what was read
    "invalid",  # other 4xx: the API server or admission refuses the request itself
    "busy",  # 429, 503: asked to come back later; nothing was done
    "unknown",  # 5xx, or no answer: it may have been done
]


class ApiError(TocsinError):
    """The API server did not do what it was asked; `failure` says what follows from that."""

    def __init__(
        self,
        failure: ApiFailure,
        message: str,
        code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.code = code
        self.retry_after = retry_after


class Cluster(Protocol):
    """One cluster, with the responder's credential."""

    @property
    def name(self) -> str:
        """The cluster's name."""
        ...

    def user(self) -> str:
        """Return the user that the credential stands for (SelfSubjectReview)."""
        ...

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, None if it is not there; its uid is not compared.

        Raises:
            ApiError: it cannot be read.
        """
        ...

    def list(self, ref: ObjectRef, query: Mapping[str, str] | None = None) -> Sequence[Manifest]:
        """Return all objects of the kind and namespace of `ref`, whose name is not looked at.

        Raises:
            ApiError: they cannot be read.
        """
        ...

    def text(self, path: str, query: Mapping[str, str], limit: int) -> str:
        """Return the first `limit` bytes of a text such as a container's log.

        Raises:
            ApiError: it cannot be read.
        """
        ...

    def allowed(self, call: Call) -> bool:
        """Return whether the credential may make the call (SelfSubjectAccessReview)."""
        ...

    def call(self, call: Call, audit_id: str, *, dry_run: bool = False) -> Manifest:
        """Make a call, once, under an Audit-ID; return the API server's answer.

        Raises:
            ApiError: it was not done, or it is not known whether it was.
        """
        ...


class PolicyRule(msgspec.Struct, frozen=True, order=True):
    """Rights an action needs, as in a ClusterRole; names and verbs in order."""

    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action does not apply, as a sentence for the operator."""

    reason: str


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """An action on a live object, ready to run; what undo needs is in it, too.

    Attributes:
        target: the object with its uid.
        root: uid of what would re-create it, or its own.
        calls: what is asked of the API server, in order.
        before: the parts of live objects that will change, so that undo can restore them.
        protects: facts the guard looks at, such as `priority_class`, `mirror_pod`, `subjects`.
        owner: what re-creates the object, if anything does.
        notes: what people must know, such as what still lives after it.
    """

    target: ObjectRef
    root: str
    calls: tuple[Call, ...]
    before: dict[str, object] = {}
    protects: dict[str, object] = {}
    owner: ObjectRef | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Acting:
    """What an action gets to act with.

    Attributes:
        cluster: where.
        mark: makes the next Audit-ID of the response; every call needs one of its own.
        note: journals a line about a call before it is made, and what came of it.
    """

    cluster: Cluster
    mark: Callable[[], str]
    note: Callable[[str, Mapping[str, object]], None]


class Action(Protocol):
    """One way to respond. Registered in `registry.py`, found there by its name."""

    name: ClassVar[str]
    title: ClassVar[str]
    effect: ClassVar[str]
    """What it does and what it does not, in plain words."""
    parameters: ClassVar[type[msgspec.Struct]]
    destructive: ClassVar[bool]
    reversible: ClassVar[bool]
    rights: ClassVar[tuple[PolicyRule, ...]]

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the object that the alert is about, as far as the alert tells. Pure."""
        ...

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Read the live objects and say what would be done; change nothing.

        Raises:
            ApiError: they cannot be read.
        """
        ...

    def apply(self, prepared: Prepared, acting: Acting) -> None:
        """Do it. Every call is noted before it is made.

        Raises:
            ApiError: a call failed; those before it were made.
        """
        ...

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Read back whether it was done.

        Raises:
            ApiError: it cannot be read.
        """
        ...

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Say which calls restore what was before; refuse if it was changed by others since.

        Raises:
            ApiError: the live objects cannot be read.
        """
        ...
