"""Run a program: kubectl, a script of yours, or one of Wazuh's active responses.

Its arguments have to name the very object that the alert is about, as it is now. It gets no
credential but a proxy that lets the planned calls through.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.manifest import Manifest, items_at, mapping_at, ref_to, text_at, uid_of, value_at
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.model.text import visible
from tocsin.respond.actions import steps, targets
from tocsin.respond.actions.base import Acting, ApiError, Cluster, PolicyRule, Prepared, Refusal
from tocsin.respond.command import kubectl
from tocsin.respond.command.dialogue import over
from tocsin.respond.command.job import Job, Surroundings, perform, take_back
from tocsin.respond.command.run import ProgramError, find_program
from tocsin.respond.command.template import FieldType, expand, placeholders
from tocsin.respond.owners import owners_of

# Of groups with one version that every cluster of our time has.
_GROUPS = frozenset({"", "apps", "batch", "networking.k8s.io", "rbac.authorization.k8s.io"})
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to run.

    Attributes:
        executable: the program, by its name or its full path.
        arguments: in each, `$(field)` stands for a value of the alert.
        fields: the types of fields whose values are no names of objects.
        verbs: what a program may ask of the API server; kubectl's arguments say it themselves.
        timeout_seconds: after how long it is killed with all that it started.
        inverse: the arguments that take it back.
        active_response_bin: where Wazuh's programs are; set for a command of an ossec.conf.
        strict: whether arguments stay in the message to the program, as in Wazuh.
        timeouts: seconds until a program of Wazuh is run with `delete`.
    """

    executable: str
    arguments: tuple[str, ...] = ()
    fields: dict[str, FieldType] = {}
    verbs: tuple[Literal["delete", "patch"], ...] = ()
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 30.0
    inverse: tuple[str, ...] | None = None
    active_response_bin: str = ""
    strict: bool = False
    timeouts: tuple[float, ...] = ()


class Command:
    """Runs a program, once; a person has to look where nobody knows what it did."""

    name: ClassVar[str] = "command"
    title: ClassVar[str] = "Run a command"
    effect: ClassVar[str] = (
        "Runs a program with arguments made of the alert. In the cluster it may do what is"
        " planned to the object of the alert, and nothing else."
    )
    parameters: ClassVar[type[msgspec.Struct]] = Parameters
    destructive: ClassVar[bool] = True
    reversible: ClassVar[bool] = True
    rights: ClassVar[tuple[PolicyRule, ...]] = (PolicyRule(("",), ("pods",), ("delete", "get")),)

    def __init__(self, around: Surroundings | None = None) -> None:
        """Know what commands are run with; without it they can only be planned."""
        self._surroundings = around
        # Responses whose program ended well, as this process saw.
        self._ended: set[str] = set()

    @property
    def _around(self) -> Surroundings:
        if self._surroundings is None:
            message = "only the responder runs commands"
            raise ApiError(failure="denied", message=message)
        return self._surroundings

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the object of the alert."""
        asked = alert.target
        group = asked.api_group or ""
        if not asked.resource or not asked.name:
            return Refusal("the alert names no object")
        if group not in _GROUPS:
            return Refusal(f"objects of {visible(group)} are not known here")
        return targets.legal(
            ObjectRef(
                api_group=group,
                resource=asked.resource,
                namespace=asked.namespace or None,
                name=asked.name,
                uid=asked.uid or None,
            )
        )

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Fill in the arguments, and see that they name the live object of the alert."""
        job = self._job(plan)
        if isinstance(job, Refusal):
            return job
        if self._around.clients(plan.cluster) is None:
            return Refusal(f"there is no access to cluster {plan.cluster}")
        found = targets.live(plan, cluster)
        if isinstance(found, Refusal):
            return found
        target = ref_to(plan.target, found)
        owners = owners_of(found, cluster)
        pod = target.resource == "pods"
        return Prepared(
            target=target,
            root=owners.root,
            calls=tuple(_expected(verb, target, job) for verb in job.verbs),
            before={"job": msgspec.to_builtins(job)},
            protects=_facts(target, found),
            owner=owners.top,
            notes=targets.notes_on(owners) if pod else (),
        )

    def apply(self, prepared: Prepared, acting: Acting) -> None:
        """Run it."""
        job = _job_of(prepared)
        perform(job, prepared.target, prepared.calls, acting, self._around)
        self._ended.add(job.response)

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Return whether the object is gone, or the program ended well; the rest is not known."""
        job = _job_of(prepared)
        if "delete" in job.verbs:
            found = cluster.get(prepared.target)
            if found is None or uid_of(found) != prepared.target.uid:
                return True
            return text_at(found, "metadata", "deletionTimestamp") is not None
        if job.response in self._ended:
            return True
        message = "what the command did cannot be read back"
        raise ApiError(failure="unknown", message=message)

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Return that `revert` takes it back, which is no call; or why nothing does."""
        job = _job_of(prepared)
        if job.speaks:
            return self._pending(job)
        if job.inverse is None:
            return Refusal("no command is named that takes this one back")
        if targets.is_gone(prepared, cluster):
            return Refusal(f"{prepared.target.words} is gone, or another object of the same name")
        return ()

    def revert(self, prepared: Prepared, acting: Acting) -> None:
        """Run the program with `delete`, or the inverse command.

        Raises:
            ApiError: it did not do it, or nobody knows whether it did.
        """
        job = _job_of(prepared)
        if not job.speaks:
            take_back(job, prepared.target, job.alert_id, acting, self._around)
            return
        for pending in self._around.table.of(job.response):
            # First the note: a program that may have been run is not run again.
            data = over(pending.key)
            acting.note("its time is over", data)
            self._around.table.take(data)
            take_back(job, prepared.target, pending.alert_id, acting, self._around)

    def _pending(self, job: Job) -> tuple[Call, ...] | Refusal:
        pending = self._around.table.of(job.response)
        if not pending:
            return Refusal("the program asked for no timeout, or a later response renewed it")
        left = max(one.until for one in pending) - self._around.clock()
        if left > 1.0:
            message = f"its time is over in {left:.0f} s"
            raise ApiError(failure="busy", message=message, retry_after=left)
        return ()

    def _job(self, plan: Plan) -> Job | Refusal:
        """Return what would be run."""
        parameters = msgspec.convert(plan.parameters, Parameters)
        alert = self._around.alert(plan.alert_id)
        if alert is None:
            return Refusal("there is no alert whose fields could fill in the arguments")
        wazuh = parameters.active_response_bin
        try:
            folders = [wazuh, *self._around.path.split(":")]
            program = find_program(parameters.executable, folders)
        except ProgramError as error:
            return Refusal(str(error))
        job = Job(
            response=plan.id,
            alert_id=plan.alert_id,
            cluster=plan.cluster,
            program=str(program),
            arguments=(),
            extra_args=parameters.arguments if wazuh else (),
            speaks=bool(wazuh) and _is_wazuhs(program, parameters),
            seconds=parameters.timeout_seconds,
            timeouts=parameters.timeouts,
            verbs=parameters.verbs,
        )
        if job.speaks:
            return job
        if parameters.strict:
            return Refusal(f"Wazuh finds programs in active-response/bin only, and not {program}")
        return _filled(job, parameters, alert, plan)


def _is_wazuhs(program: Path, parameters: Parameters) -> bool:
    inside = program.parent == Path(parameters.active_response_bin)
    return inside and (parameters.strict or not placeholders(parameters.arguments))


def _filled(job: Job, parameters: Parameters, alert: Alert, plan: Plan) -> Job | Refusal:
    """Return the job with its arguments, which have to be about the plan's target."""
    arguments = expand(parameters.arguments, alert, parameters.fields)
    if isinstance(arguments, Refusal):
        return arguments
    verbs = parameters.verbs
    inverse = parameters.inverse and expand(parameters.inverse, alert, parameters.fields)
    if isinstance(inverse, Refusal):
        return inverse
    if Path(job.program).name == kubectl.NAME:
        for line in (arguments, inverse):
            meant = kubectl.understand(line) if line else None
            reason = _other_object(meant, plan.target)
            if reason is not None:
                return Refusal(reason)
            if isinstance(meant, kubectl.Meant) and line is arguments:
                verbs = (meant.verb,)
    return msgspec.structs.replace(
        job,
        arguments=tuple(arguments),
        inverse=tuple(inverse) if inverse else None,
        verbs=verbs,
    )


def _other_object(meant: kubectl.Meant | Refusal | None, target: ObjectRef) -> str | None:
    """Return why a command line is not about the alert's object; None if it is."""
    if isinstance(meant, Refusal):
        return meant.reason
    if meant is None or msgspec.structs.replace(target, uid=None) == meant.target:
        return None
    return (
        f"the command is about {visible(meant.target.words)}, "
        f"the alert about {visible(target.words)}"
    )


def _expected(verb: str, target: ObjectRef, job: Job) -> Call:
    """Return the call that a program is expected to make, as far as it is known before."""
    title = f"{Path(job.program).name}: {verb} {target.words}"
    if verb == "delete":
        return steps.delete(target, title)
    return steps.patch(target, [], title)


def _job_of(prepared: Prepared) -> Job:
    return msgspec.convert(prepared.before["job"], Job)


def _facts(target: ObjectRef, found: Manifest) -> dict[str, object]:
    """Return what the guard has to know about an object."""
    match target.resource:
        case "pods":
            return targets.facts_of_pod(found)
        case "nodes":
            labels = mapping_at(found, "metadata", "labels")
            return {"control_plane": any(label in labels for label in _CONTROL_PLANE)}
        case "rolebindings" | "clusterrolebindings":
            role = text_at(found, "roleRef", "name")
            return {"role_ref": role, "subjects": items_at(found, "subjects")}
        case _:
            spec = mapping_at(found, "spec", "template", "spec")
            return {"priority_class": value_at(spec, "priorityClassName")}
