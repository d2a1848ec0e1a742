"""What an operator sets for responses: which, how far they may go, and what they never touch.

The defaults change nothing in any cluster: every shipped response is a dry run, and without
access to a cluster its responses are only planned.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.response import Mode
from tocsin.respond.command.template import FieldType
from tocsin.respond.match import When

Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 86400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]

# The longest a response may stay before it is undone by itself.
_LONGEST_UNDO = 30 * 86400


class ClusterAccess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the responder reaches a cluster's API server: a kubeconfig's current context.

    Its account needs what `tocsin setup rbac` writes, and nothing else.
    """

    kubeconfig: str


class ActionStep(NamedTuple):
    """An action that a response asks for, with the parameters that stand in the configuration."""

    action: str
    parameters: Mapping[str, object] = {}


class ResponseRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which actions an alert asks for, and how far they may go.

    Attributes:
        name: what journal, lists and limits call it.
        when: which alerts ask for it.
        actions: what it does, in order: the name of an action, or a mapping of the name to its
            parameters.
        mode: `dry-run` only says what would be done, `approve` does it once a person agrees,
            `auto` at once.
        undo_after_seconds: after how long it is undone by itself; 0 is never.
        per_owner: its own limit instead of `limits.per_owner`.
        per_minute: its own limit below `limits.per_minute`.
    """

    name: Name
    when: When
    actions: tuple[str | dict[str, dict[str, Any]], ...]
    mode: Mode = "dry-run"
    undo_after_seconds: Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_UNDO)] = 0.0
    per_owner: Count | None = None
    per_minute: Count | None = None

    def __post_init__(self) -> None:
        """Refuse lists of actions that say nothing, or not which; msgspec reports the path."""
        if not self.actions:
            message = "a response needs at least one action"
            raise ValueError(message)
        for step in self.actions:
            if isinstance(step, dict) and len(step) != 1:
                message = "an action is a name, or a mapping of one name to its parameters"
                raise ValueError(message)
        names = [step.action for step in self.steps]
        if len(set(names)) < len(names):
            message = "an action stands twice; write a second response for it"
            raise ValueError(message)

    @property
    def steps(self) -> tuple[ActionStep, ...]:
        """The actions, in order."""
        return tuple(
            ActionStep(step) if isinstance(step, str) else ActionStep(*next(iter(step.items())))
            for step in self.actions
        )

    def matches(self, alert: Alert) -> bool:
        """Return whether the alert asks for this response."""
        return self.when.matches(alert)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may be done without a person.

    Attributes:
        per_owner: destructive responses to what one owner creates, within `owner_window_seconds`;
            more of them need approval.
        owner_window_seconds: see there.
        per_minute: changes of one cluster within a minute, whoever asked for them.
        storm_alerts: so many responses asked for within `storm_window_seconds` are a storm.
        storm_window_seconds: see there.
        breaker_seconds: for how long nothing is done by itself after a storm.
    """

    per_owner: Count = 3
    owner_window_seconds: Seconds = 600.0
    per_minute: Count = 10
    storm_alerts: Count = 100
    storm_window_seconds: Seconds = 10.0
    breaker_seconds: Seconds = 300.0


ACCOUNT = "system:serviceaccount:tocsin:tocsin-responder"
NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "tocsin")
USERS = (
    "system:apiserver",
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:kube-proxy",
    "system:node:*",
    "system:bootstrap:*",
    "system:serviceaccount:kube-system:*",
    "kubernetes-admin",
    "kubernetes-super-admin",
)
GROUPS = (
    "system:masters",
    "system:nodes",
    "system:bootstrappers",
    "system:serviceaccounts:kube-system",
    "kubeadm:cluster-admins",
)
PRIORITY_CLASSES = ("system-node-critical", "system-cluster-critical")
CLUSTER_ROLES = ("cluster-admin", "system:*")


class Protected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What no response touches, not even an approved one. `*` stands for any characters.

    Each list replaces the shipped one, of which nothing may be missing unless `i_know` is set;
    what is listed under `more_...` is added to it.

    Attributes:
        namespaces: namespaces and all that is in them.
        users: identities whose bindings and tokens stay.
        groups: groups whose bindings stay.
        priority_classes: pods of these stay.
        cluster_roles: bindings of these stay.
        more_namespaces: further namespaces.
        more_users: further identities, such as your own.
        more_groups: further groups.
        i_know: whether the shipped lists may be cut down.
    """

    namespaces: tuple[str, ...] = NAMESPACES
    users: tuple[str, ...] = USERS
    groups: tuple[str, ...] = GROUPS
    priority_classes: tuple[str, ...] = PRIORITY_CLASSES
    cluster_roles: tuple[str, ...] = CLUSTER_ROLES
    more_namespaces: tuple[str, ...] = ()
    more_users: tuple[str, ...] = ()
    more_groups: tuple[str, ...] = ()
    i_know: bool = False

    def __post_init__(self) -> None:
        """Refuse to lose shipped protection by accident; msgspec reports the path."""
        if self.i_know:
            return
        for name, shipped in _SHIPPED.items():
            if missing := [text for text in shipped if text not in getattr(self, name)]:
                message = (
                    f"`{name}` no longer protects {', '.join(missing)}: add to the shipped list"
                    f" with `more_...`, or set `i_know: true` if you mean it"
                )
                raise ValueError(message)

    @property
    def all_namespaces(self) -> tuple[str, ...]:
        """The namespaces, with those that were added."""
        return self.namespaces + self.more_namespaces

    @property
    def all_users(self) -> tuple[str, ...]:
        """The identities, with those that were added."""
        return self.users + self.more_users

    @property
    def all_groups(self) -> tuple[str, ...]:
        """The groups, with those that were added."""
        return self.groups + self.more_groups


_SHIPPED: Mapping[str, tuple[str, ...]] = {
    "namespaces": NAMESPACES,
    "users": USERS,
    "groups": GROUPS,
    "priority_classes": PRIORITY_CLASSES,
    "cluster_roles": CLUSTER_ROLES,
}


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it takes for a person to approve a response.

    Attributes:
        valid_seconds: for how long it can be approved after it was asked for.
        four_eyes: whether who asked for it must not approve it.
    """

    valid_seconds: Seconds = 900.0
    four_eyes: bool = False


class CommandSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that the action `command` may run, by its name in the configuration.

    Attributes:
        executable: the program, by its name or its full path.
        arguments: its arguments; in each, `$(field)` stands for a value of the alert.
        timeout_seconds: after how long it is killed with all that it started.
        fields: types of fields whose values are no names of objects.
        verbs: what it may ask of the API server, about the response's object only; kubectl's
            arguments say it themselves.
        inverse: the command that undoes it, if there is one.
    """

    executable: str
    arguments: tuple[str, ...] = ()
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 30.0
    fields: dict[str, FieldType] = {}
    verbs: tuple[Literal["delete", "patch"], ...] = ()
    inverse: str | None = None


class RespondSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Tocsin responds.

    Attributes:
        enabled: whether anything is done at all; false stops every response.
        clusters: the responder's access, by cluster; responses to alerts of another cluster are
            only planned.
        account: the user that this access stands for. What it changes without our mark was
            done by somebody who stole its credential.
        responses: which alerts ask for which actions.
        builtin: whether the shipped responses are among them, all of them dry runs.
        limits: how much may be done without a person.
        protected: what is never touched.
        approval: what it takes to approve.
        max_evidence_age_seconds: how old an alert's event may be when it asks for a response.
        evidence: whether a destructive response is only made with a snapshot of its object.
        commands: programs that the action `command` may run.
    """

    enabled: bool = True
    clusters: dict[str, ClusterAccess] = {}
    account: str = ACCOUNT
    responses: tuple[ResponseRule, ...] = ()
    builtin: bool = True
    limits: Limits = Limits()
    protected: Protected = Protected()
    approval: Approval = Approval()
    max_evidence_age_seconds: Seconds = 300.0
    evidence: Literal["required", "best-effort"] = "required"
    commands: dict[str, CommandSettings] = {}

    def __post_init__(self) -> None:
        """Refuse two responses of one name; msgspec reports the path."""
        names = [rule.name for rule in self.responses]
        for name in names:
            if names.count(name) > 1:
                message = f"two responses are called {name!r}"
                raise ValueError(message)
