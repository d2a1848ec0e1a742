"""An audit policy (audit.k8s.io/v1) and what it says about one request.

The meaning is that of k8s.io/apiserver, pkg/audit/policy: the first rule that matches decides,
and a request that none matches is not recorded. Golden data of that code hold this one to it.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

Level = Literal["None", "Metadata", "Request", "RequestResponse"]
Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]

LEVELS: tuple[Level, ...] = ("None", "Metadata", "Request", "RequestResponse")
STAGES: tuple[Stage, ...] = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the API server sees it when it asks the policy.

    Without a `resource` it is for `path`, a URL that is no resource, and its verb is the
    HTTP method in lower case. `user` is None where nobody could be authenticated. The name
    of an object that is being created is not known yet: it is empty.
    """

    verb: str
    api_group: str = ""
    resource: str | None = None
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    user: str | None = None
    groups: tuple[str, ...] = ()
    path: str = ""


class Decision(msgspec.Struct, frozen=True):
    """What is recorded of a request; `rule_number` counts from 1, None if no rule matched."""

    level: Level
    omit_stages: frozenset[Stage]
    omit_managed_fields: bool
    rule_number: int | None


class GroupResources(msgspec.Struct, frozen=True):
    """Resources of one API group (`*`: of all); no `resources` means every one of the group.

    A resource is written `pods`, `pods/log`, `pods/*` (the resource and its
    subresources), `*/scale` or `*`; one without a slash does not stand for its subresources.
    """

    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()

    def covers(self, group: str, resource: str, subresource: str) -> bool:
        """Return whether a resource, or subresource, is meant; names aside."""
        if self.group not in (group, "*"):
            return False
        whole = f"{resource}/{subresource}" if subresource else resource
        meant = {"*", whole, f"{resource}/*"}
        if subresource:
            meant.add(f"*/{subresource}")
        return not self.resources or not meant.isdisjoint(self.resources)

    def matches(self, request: Request) -> bool:
        """Return whether a request for a resource is for one of these."""
        resource = request.resource or ""
        if not self.covers(request.api_group, resource, request.subresource):
            return False
        return not self.resource_names or request.name in self.resource_names


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule; an empty list restricts nothing. In `namespaces`, "" is what has none."""

    level: Level
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool | None = None

    def matches(self, request: Request) -> bool:
        """Return whether the rule is about this request."""
        return (
            self._matches_user(request)
            and (not self.verbs or request.verb in self.verbs)
            and self._matches_target(request)
        )

    def _matches_user(self, request: Request) -> bool:
        if self.users and request.user not in self.users:
            return False
        if not self.user_groups:
            return True
        return request.user is not None and not set(self.user_groups).isdisjoint(request.groups)

    def _matches_target(self, request: Request) -> bool:
        if self.namespaces or self.resources:
            return request.resource is not None and self._matches_resource(request)
        if self.non_resource_urls:
            return request.resource is None and covers_path(self.non_resource_urls, request.path)
        return True

    def _matches_resource(self, request: Request) -> bool:
        if self.namespaces and request.namespace not in self.namespaces:
            return False
        return not self.resources or any(one.matches(request) for one in self.resources)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that the API server would load.

    `ignored` names the fields that it does not know: it logs a warning and goes on without.
    """

    name: str
    rules: tuple[PolicyRule, ...]
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool = False
    ignored: tuple[str, ...] = ()

    def level_of(self, request: Request) -> Decision:
        """Return what is recorded of a request."""
        for number, rule in enumerate(self.rules, start=1):
            if rule.matches(request):
                return self.decision(number)
        return self.decision(None)

    def decision(self, number: int | None) -> Decision:
        """Return what is recorded where the rule with this number decides, or none does."""
        if number is None:
            stages = frozenset(self.omit_stages)
            return Decision("None", stages, self.omit_managed_fields, None)
        rule = self.rules[number - 1]
        managed = rule.omit_managed_fields
        return Decision(
            rule.level,
            frozenset(self.omit_stages + rule.omit_stages),
            self.omit_managed_fields if managed is None else managed,
            number,
        )


def covers_path(patterns: Iterable[str], path: str) -> bool:
    """Return whether a URL path is among `patterns`, whose last character may be a `*`."""
    return any(
        pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))
        for pattern in patterns
    )
