"""Take a service account's rights away: its bindings, and the token Secrets it lists.

Always the account that made the request, never one that it impersonated.
"""

import re
from typing import ClassVar, Literal

import msgspec
from typing_extensions import override

from tocsin.model.alert import Alert
from tocsin.model.manifest import Manifest, items_at, mapping_at, ref_to, text_at, uid_of, value_at
from tocsin.model.rbac import RBAC
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond.actions import bindings, steps, targets
from tocsin.respond.actions.base import Acting, ApiError, Cluster, PolicyRule, Prepared, Refusal

_PREFIX = "system:serviceaccount:"
# What an account lists as its secrets, whoever may change the account can choose.
_MOST_SECRETS = 10


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of bindings that name others, too.

    Attributes:
        shared: `leave` them and say so, or `patch` the account out of them, for which the API
            server wants the responder to have the right to bind the role.
    """

    shared: Literal["leave", "patch"] = "leave"


class RevokeAccount(steps.Stepwise):
    """Deletes the bindings that name the account alone, by uid."""

    name: ClassVar[str] = "revoke_account"
    title: ClassVar[str] = "Revoke the service account's access"
    effect: ClassVar[str] = (
        "Deletes the role bindings that name the service account alone and the token Secrets that"
        " it lists; undo restores the bindings. Its tokens stay valid, with what groups give them."
    )
    parameters: ClassVar[type[msgspec.Struct]] = Parameters
    destructive: ClassVar[bool] = True
    reversible: ClassVar[bool] = True
    rights: ClassVar[tuple[PolicyRule, ...]] = (
        PolicyRule(("",), ("secrets",), ("delete",)),
        PolicyRule(("",), ("serviceaccounts",), ("get",)),
        PolicyRule(
            (RBAC,), ("clusterrolebindings", "rolebindings"), ("delete", "get", "list", "patch")
        ),
    )

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the service account that made the request."""
        user = alert.actor.user or ""
        namespace, _, name = user.removeprefix(_PREFIX).partition(":")
        if not user.startswith(_PREFIX) or not namespace:
            return Refusal("the request was not made by a service account")
        return targets.legal(ObjectRef(resource="serviceaccounts", namespace=namespace, name=name))

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Find what gives the account its rights."""
        found = targets.live(plan, cluster)
        if isinstance(found, Refusal):
            return found
        account = ref_to(plan.target, found)
        shared = msgspec.convert(plan.parameters, Parameters).shared
        calls, before, notes = [], [], []
        for ref, binding in bindings.all_bindings(cluster):
            mine = [bindings.is_account(one, account) for one in bindings.subjects_of(binding)]
            if any(mine) and not all(mine) and shared == "leave":
                notes.append(f"{ref.words} names others, too, and is left as it is")
            elif any(mine):
                sole = all(mine)
                calls.append(
                    steps.delete(ref, f"delete {ref.words}")
                    if sole
                    else bindings.without(ref, binding, account)
                )
                before.append(_before(ref, binding, account, sole=sole))
            elif _names_group_of(binding, account):
                notes.append(f"{ref.words} gives {bindings.role_of(binding)} to a group it is in")
        secrets = _token_secrets(found, account)
        if not calls and not secrets:
            left = "; ".join(("no binding names it alone", *notes))
            return Refusal(f"there is nothing to take from {account.words}: {left}")
        return Prepared(
            target=account,
            root=account.uid or "",
            calls=tuple(calls),
            before={"bindings": before, "secrets": secrets},
            protects={
                "namespace": account.namespace,
                "role_refs": [text_at(one, "manifest", "roleRef", "name") for one in before],
                "subjects": [
                    {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}
                ],
            },
            notes=(*notes, *_what_lives(secrets)),
        )

    @override
    def apply(self, prepared: Prepared, acting: Acting) -> None:
        """Take the token Secrets away, then the bindings: once those are gone, all of it is."""
        names = value_at(prepared.before, "secrets")
        for name in names if isinstance(names, list) else []:
            secret = ObjectRef(resource="secrets", namespace=prepared.target.namespace, name=name)
            _delete_unread(secret, acting)
        super().apply(prepared, acting)

    def again(self, earlier: Prepared, prepared: Prepared) -> Prepared:
        """Keep the bindings that an attempt before took away: they are to be brought back, too."""
        now = items_at(prepared.before, "bindings")
        left = [value_at(item, "ref") for item in now]
        gone = [one for one in items_at(earlier.before, "bindings") if one["ref"] not in left]
        before = {**prepared.before, "bindings": [*gone, *now]}
        return msgspec.structs.replace(prepared, before=before)

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Return whether none of the bindings names the account any more."""
        for item in items_at(prepared.before, "bindings"):
            ref = msgspec.convert(item["ref"], ObjectRef)
            live = cluster.get(ref)
            if live is None or uid_of(live) != ref.uid:
                continue
            if any(bindings.is_account(one, prepared.target) for one in bindings.subjects_of(live)):
                return False
        return True

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Bring all bindings back, if all are as they were left; token Secrets are gone."""
        calls: list[Call] = []
        taken = items_at(prepared.before, "bindings")
        for item in taken:
            ref = msgspec.convert(item["ref"], ObjectRef)
            left = None if item["left"] is None else items_at(item, "left")
            needed = bindings.restoring(ref, mapping_at(item, "manifest"), left, cluster)
            if isinstance(needed, Refusal):
                return needed
            calls += needed
        return tuple(calls) if taken else Refusal("no binding was taken away")


def _before(
    ref: ObjectRef, binding: Manifest, account: ObjectRef, *, sole: bool
) -> dict[str, object]:
    """Return what undo needs of a binding; `left` is whom it names afterwards."""
    left = [
        dict(one) for one in bindings.subjects_of(binding) if not bindings.is_account(one, account)
    ]
    return {
        "ref": msgspec.to_builtins(ref),
        "manifest": bindings.manifest_of(ref, binding),
        "left": None if sole else left,
    }


def _names_group_of(binding: Manifest, account: ObjectRef) -> bool:
    groups = {
        "system:authenticated",
        "system:serviceaccounts",
        f"system:serviceaccounts:{account.namespace}",
    }
    # What every cluster gives to all who are known says nothing about this one.
    if "kubernetes.io/bootstrapping" in mapping_at(binding, "metadata", "labels"):
        return False
    return any(
        text_at(one, "kind") == "Group" and text_at(one, "name") in groups
        for one in bindings.subjects_of(binding)
    )


def _token_secrets(found: Manifest, account: ObjectRef) -> list[str]:
    """Return the Secrets that the account lists, of those whose name the cluster made.

    Others may be any Secret: the list is as good as who may write it.
    """
    made = re.compile(rf"{re.escape(account.name)}-token-[a-z0-9]{{5}}")
    names = [text_at(one, "name") or "" for one in items_at(found, "secrets")]
    return sorted({name for name in names if made.fullmatch(name)})[:_MOST_SECRETS]


def _delete_unread(secret: ObjectRef, acting: Acting) -> None:
    """Delete a Secret by the uid that trying to delete it tells, so that none is ever read."""
    untried = Call(
        verb="delete",
        target=secret,
        body={"apiVersion": "v1", "kind": "DeleteOptions"},
        title=f"ask for the uid of {secret.words}",
    )
    try:
        uid = text_at(steps.make(untried, acting, dry_run=True), "details", "uid")
        pinned = msgspec.structs.replace(secret, uid=uid or "untold")
        steps.make(steps.delete(pinned, f"delete {secret.words}"), acting)
    except ApiError as error:
        if error.failure != "gone":
            raise


def _what_lives(secrets: list[str]) -> tuple[str, ...]:
    taken = (
        f"token Secrets deleted for good: {', '.join(secrets)}"
        if secrets
        else "token Secrets that the account does not list are not found, and live on"
    )
    return (
        taken,
        "tokens that were issued stay valid until they expire, with what groups give them:"
        " deleting the service account ends them all, also for the pods that use it",
    )
