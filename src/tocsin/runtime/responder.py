"""The responder process: acts on alerts, within what the operator allows.

Apart from all others, because it alone holds a credential that may change a cluster. Where it
has nothing to do it does nothing; where its journal cannot be trusted, it refuses to act and
says so, and everything else goes on.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import msgspec
from prometheus_client import CollectorRegistry

from tocsin.connect.clienttls import client_context
from tocsin.connect.kubeconfig import WebhookTarget
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import SpoolHistory
from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.manifest import Manifest
from tocsin.model.ports import StoreUnavailable
from tocsin.model.response import ObjectRef, Plan
from tocsin.normalize.redact import redact
from tocsin.normalize.shown import shown_event
from tocsin.respond import tell
from tocsin.respond.actions.base import ApiError, Cluster, Prepared
from tocsin.respond.actions.command import Command
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.chain import Head, journal_key
from tocsin.respond.cluster import ApiCluster
from tocsin.respond.command.dialogue import Table
from tocsin.respond.command.job import Surroundings
from tocsin.respond.command.run import SYSTEM_PATH
from tocsin.respond.evidence import keep
from tocsin.respond.guard import Policy, policy_of
from tocsin.respond.journal import Journal, JournalError
from tocsin.respond.marks import Marks, marks_key
from tocsin.respond.means import Means
from tocsin.respond.record import Record
from tocsin.respond.responder import Responder
from tocsin.respond.select import Asking
from tocsin.respond.settings import RespondSettings
from tocsin.respond.switch import stopped
from tocsin.runtime.apiserver import ApiServer
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config
from tocsin.runtime.detector import RULE_POLL_SECONDS, Rules
from tocsin.runtime.eventlog.log import SpoolEventLog
from tocsin.runtime.hiding import silenced
from tocsin.runtime.joining import join_when_ready
from tocsin.runtime.metrics import exposition
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.recheck import Recheck
from tocsin.runtime.report import Report
from tocsin.runtime.responding import asking, journal_path
from tocsin.runtime.respondmetrics import RespondMetrics
from tocsin.store.sqlite import SqliteStore

IDLE_SECONDS = 0.1
RETRY_SECONDS = 5.0
# What is armed by configuration alone is looked for less often where nothing is.
_UNARMED_SECONDS = 1.0
FINDING = ("respond", "responder")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _State:
    """What the report tells."""

    problem: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def respond(link: Link, config: Config) -> None:
    """Respond until told to stop."""
    registry = CollectorRegistry()
    metrics = RespondMetrics(registry)
    state = _State()
    link.report_regularly(
        # In trouble it stays "ready": nobody may stop events from coming in because of it.
        lambda: Report(
            ready=True, findings=(*state.problem, *state.findings), metrics=exposition(registry)
        )
    )
    store = join_when_ready(link, config.store_path, config.lowest_severities, config.routes)
    if store is None:
        return
    with store:
        while not link.stopping.is_set():
            try:
                with _open_journal(config, store) as journal:
                    _Process(config, store, journal, metrics, state, link).run()
            except (StoreUnavailable, JournalError, OSError) as error:
                _tell(store, state, f"nothing is responded to: {error}")
                link.stopping.wait(RETRY_SECONDS)


def _tell(store: SqliteStore, state: _State, problem: str) -> None:
    """Say what is wrong, once, and where everybody looks."""
    if state.problem != (problem,):
        log.error("%s", problem)
    state.problem = (problem,)
    with contextlib.suppress(StoreUnavailable):
        store.health.report(*FINDING, problem, time.time())


def armed(rules: Sequence[Asking], settings: RespondSettings) -> list[str]:
    """Return a line for each response that may change something."""
    known = ", ".join(settings.clusters) or "no cluster: there is no access (respond.clusters)"
    return [
        f"response {rule.name}: {', '.join(step.action for step in rule.steps)}, "
        f"{'at once' if rule.mode == 'auto' else 'once a person agrees'}, in {known}"
        for rule in rules
        if rule.mode != "dry-run"
    ]


def open_client(server: ApiServer) -> httpx2.Client:
    """Return a client of an API server, with the credential of its kubeconfig.

    Raises:
        TocsinError: a file that the kubeconfig names cannot be used.
    """
    target = server.target
    return httpx2.Client(
        base_url=server.url,
        verify=client_context(target),
        trust_env=False,
        event_hooks={"request": [partial(_complete, target)]},
    )


def _complete(target: WebhookTarget, request: httpx2.Request) -> None:
    """Add what the kubeconfig says; a token is read each time, as its file is renewed."""
    if target.token is not None:
        request.headers["Authorization"] = f"Bearer {target.token.read().decode().strip()}"
    if target.tls_server_name:
        request.extensions["sni_hostname"] = target.tls_server_name


def _open_journal(config: Config, store: SqliteStore) -> Journal:
    config.responses_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = journal_key(load_or_create_key(config.key_path))
    head = store.responses.head()
    return Journal(journal_path(config), key, Head(*head) if head else None)


class _Process:
    """What one run of the responder holds."""

    def __init__(
        self,
        config: Config,
        store: SqliteStore,
        journal: Journal,
        metrics: RespondMetrics,
        state: _State,
        link: Link,
    ) -> None:
        self._config = config
        self._link = link
        self._settings = config.respond
        self._store = store
        self._journal = journal
        self._metrics = metrics
        self._state = state
        self._key = load_or_create_key(config.key_path)
        self._clients: dict[str, httpx2.Client] = {}
        self._clusters = self._reach()
        self._detection = Rules(config)
        self._pipeline = self._load_rules()
        self._recheck: Recheck | None = None
        if self._pipeline is not None:
            history = SpoolHistory(config.spool_folder, Sealer(self._key))
            self._recheck = Recheck(SpoolEventLog(history), self._pipeline)
        self._rules = asking(config)
        self._next_rule_check = 0.0
        self._responder = Responder(
            self._means(),
            Record(journal, store.responses, metrics.count),
            store.responses,
            store,
            self._rules,
            self._inform,
        )

    def _load_rules(self) -> Pipeline | None:
        """Return the rules that alerts are checked by again, if anything can be done at all."""
        return self._detection.load() if self._clusters and self._settings.enabled else None

    def run(self) -> None:
        """Respond until told to stop, or until something has to be opened anew."""
        for line in armed(self._rules, self._settings):
            log.info("%s", line)
        self._responder.start()
        self._state.problem = ()
        self._store.health.clear(*FINDING)
        while not self._link.stopping.is_set():
            if not self._settings.enabled:
                self._responder.skip_alerts()
            busy = self._responder.tick()
            self._look_after()
            if not busy:
                self._link.stopping.wait(IDLE_SECONDS if self._rules else _UNARMED_SECONDS)

    def _look_after(self) -> None:
        self._metrics.waiting.set(self._responder.waiting)
        self._metrics.undecided.set(self._responder.undecided)
        self._metrics.stopped.set(self._stopped() is not None)
        now = time.monotonic()
        if self._pipeline is not None and now >= self._next_rule_check:
            self._next_rule_check = now + RULE_POLL_SECONDS
            if self._detection.changed() or self._link.reloading.is_set():
                self._link.reloading.clear()
                self._detection.reload(self._pipeline)

    def _reach(self) -> Mapping[str, Cluster]:
        """Return the clusters that can be reached; of others it is said why not."""
        found: dict[str, Cluster] = {}
        findings = []
        for name, access in self._settings.clusters.items():
            try:
                server = ApiServer.from_kubeconfig(Path(access.kubeconfig))
                self._clients[name] = open_client(server)
                found[name] = ApiCluster(name, self._clients[name])
            except TocsinError as error:
                findings.append(f"responses in cluster {name} are only planned: {error}")
                log.error("%s", findings[-1])  # noqa: TRY400 - a sentence for people
        findings += filter(None, (self._other_user(cluster) for cluster in found.values()))
        self._state.findings = tuple(findings)
        return found

    def _other_user(self, cluster: Cluster) -> str:
        """Return what is wrong with the credential's user: theft of another one would not show."""
        try:
            user = cluster.user()
        except ApiError as error:
            log.warning("cluster %s cannot be asked: %s", cluster.name, error)
            return ""
        if user == self._settings.account:
            return ""
        return (
            f"the responder acts as {user} in cluster {cluster.name}, and respond.account is "
            f"{self._settings.account}: theft of its credential would not be noticed"
        )

    def _means(self) -> Means:
        return Means(
            clusters=self._clusters,
            actions={**ACTIONS, Command.name: Command(self._surroundings())},
            marks=partial(Marks, marks_key(self._key)),
            policy=self._policies(),
            stopped=self._stopped,
            holds=self._holds,
            snapshot=self._snapshot,
            evidence_required=self._settings.evidence == "required",
            approval_seconds=self._settings.approval.valid_seconds,
            clock=time.time,
        )

    def _surroundings(self) -> Surroundings:
        """Return what commands are run with."""
        folder = self._config.responses_folder / "runs"
        folder.mkdir(mode=0o700, exist_ok=True)
        return Surroundings(
            clients=self._clients.get,
            alert=self._alert,
            shown=self._as_wazuh,
            # A program that hangs must not keep us from ending in time.
            stopped=lambda: self._link.stopping.is_set() or self._stopped() is not None,
            refused=self._misbehaved,
            clean=redact,
            clock=time.time,
            folder=folder,
            table=Table.from_entries(self._journal.entries()),
            # As it was at the start: programs get it, and never change it.
            path=os.environ.get("PATH", SYSTEM_PATH),
        )

    def _alert(self, alert_id: str) -> Alert | None:
        found = self._store.alert(alert_id)
        return found.alert if found else None

    def _as_wazuh(self, alert: Alert) -> Mapping[str, object]:
        """Return an alert in Wazuh's shape: as it was kept, else as our own log has it."""
        found = self._store.alert(alert.id)
        kept = self._store.forms.of(found.seq) if found else None
        line = kept or msgspec.json.encode(alert)
        return msgspec.json.decode(line, type=dict[str, object])

    def _misbehaved(self, response: str, refused: Sequence[str]) -> None:
        why = f"its program asked for what was not planned: {', '.join(refused[:3])}"
        self._inform([tell.refused(f"of response {response[:8]}", "", why, time.time())])

    def _policies(self) -> Callable[[str], Policy]:
        known = {rule.name: policy_of(self._settings, rule) for rule in self._rules}
        usual = policy_of(self._settings, None)
        return lambda name: known.get(name, usual)

    def _stopped(self) -> str | None:
        if not self._settings.enabled:
            return "responding is switched off in the configuration (respond.enabled)"
        stop = stopped(self._config.responses_folder)
        if stop is None:
            return None
        return f"all responses were stopped by {stop.who}" + (f": {stop.why}" if stop.why else "")

    def _holds(self, alert: Alert, cluster: Cluster) -> bool | None:
        if self._recheck is None:
            return None

        def read(ref: ObjectRef) -> Manifest | None:
            return cluster.get(ref)

        try:
            return self._recheck.holds(alert, read)
        except ApiError as error:
            if error.failure == "denied":
                return None
            raise

    def _snapshot(self, plan: Plan, prepared: Prepared, cluster: Cluster) -> Mapping[str, object]:
        folder = self._config.responses_folder / "evidence"
        return keep(plan.id, prepared, cluster, folder, shown_event, time.time())

    def _inform(self, alerts: Sequence[Alert]) -> None:
        now = time.time()
        hidden = silenced(self._store, alerts, now)
        for alert in self._store.record(alerts, {}, now, hidden=hidden):
            log.warning("%s", alert.description)
