"""The detector process: posts from the spool, alerts into the store.

The position in the spool is committed together with the alerts found up to it, so a crash
anywhere repeats work and loses nothing; alert ids are digests, so repeating changes nothing.
"""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from pathlib import Path

from prometheus_client import CollectorRegistry

from tocsin.detect.credential import OwnCredential
from tocsin.detect.suppress import Suppression
from tocsin.ingest.quarantine import Quarantine
from tocsin.ingest.seal import Sealer, SealError, load_or_create_key
from tocsin.ingest.spool import FileBusyError, Lost, Post, SpoolReader
from tocsin.model.alert import Alert
from tocsin.model.errors import LoadError, TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.normalize.batch import Reject
from tocsin.rules.ir import Suppress
from tocsin.runtime import hiding
from tocsin.runtime.alertlogs import AlertLogs
from tocsin.runtime.checkpoint import Checkpoints
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config
from tocsin.runtime.grouping import Grouping, GroupingMetrics, shared_identities
from tocsin.runtime.listener import Listener
from tocsin.runtime.metrics import DetectMetrics, exposition
from tocsin.runtime.pipeline import MAX_TOLD, Outcome, Pipeline, not_evaluated, settle
from tocsin.runtime.report import Report
from tocsin.runtime.rules import AnyRule, content_folder, named_sets, rules_in_force
from tocsin.runtime.upkeep import Upkeep
from tocsin.runtime.watch import FileWatch
from tocsin.store.sqlite import SqliteStore, own_store

READER = "detector"

# Posts that are evaluated before their alerts are committed together.
GROUP = 32
IDLE_SECONDS = 0.05
RETRY_SECONDS = 1.0
RULE_POLL_SECONDS = 1.0

log = logging.getLogger(__name__)


class Rules:
    """The rules in force, reloaded when their files change; bad files never unload good ones."""

    def __init__(self, config: Config) -> None:
        self._config = config
        wazuh = [path for files in config.wazuh for path in files.paths]
        self._watch = FileWatch([content_folder() / "sigma", *config.rule_paths, *wazuh])
        self.faults: list[str] = []

    def load(self) -> Pipeline:
        """Return a pipeline with the rules; those that do not load are reported as faults.

        Raises:
            LoadError: no rule could be loaded at all.
        """
        loaded = rules_in_force(self._config)
        self.faults = [str(fault) for fault in loaded.faults]
        for fault in self.faults:
            log.error("rule not loaded: %s", fault)
        if loaded.faults and not loaded.count:
            raise LoadError(loaded.faults)
        return Pipeline(loaded.rules, loaded.wazuh, loaded.correlations)

    def reload(self, pipeline: Pipeline) -> None:
        """Put changed rules in force; a file with a fault keeps its former rules."""
        loaded = rules_in_force(self._config)
        self.faults = [str(fault) for fault in loaded.faults]
        # A folder that is gone is a fault too: a mount that fails must not disarm.
        bad = {fault.location.path for fault in loaded.faults}
        engine = pipeline.engine
        engine.replace_rules(
            _mixed(loaded.rules, engine.rules, bad),
            _mixed(loaded.correlations, engine.correlations, bad),
        )
        pipeline.replace_wazuh(loaded.wazuh)
        for fault in self.faults:
            log.error("rule file keeps its former rules: %s", fault)
        log.info("rules reloaded: %d in force", pipeline.rule_count)

    def changed(self) -> bool:
        """Return whether a rule file changed since the last call."""
        return self._watch.changed()


def _mixed(
    fresh: Iterable[AnyRule], former: Iterable[AnyRule], bad: Collection[str]
) -> list[AnyRule]:
    """Return the fresh rules of good files, and the former ones of bad files."""
    good = [rule for rule in fresh if not _lies_in(rule.at.path, bad)]
    return good + [rule for rule in former if _lies_in(rule.at.path, bad)]


def _lies_in(path: str, places: Collection[str]) -> bool:
    return path in places or any(str(folder) in places for folder in Path(path).parents)


class Detector:
    """Reads, evaluates and records, until told to stop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._registry = CollectorRegistry()
        self._metrics = DetectMetrics(self._registry)
        self._rules = Rules(config)
        self._pipeline = self._rules.load()
        key = load_or_create_key(config.key_path)
        sealer = Sealer(key)
        self._reader = SpoolReader(config.spool_folder, sealer, READER)
        self._quarantine = Quarantine(config.quarantine_folder, sealer)
        self._store = _open_store(config)
        self._listener = Listener(self._store.sources, key, config.watch.settle_after)
        self._pipeline.look = self._listener.look
        self._suppression = Suppression(self._suppressions())
        own = OwnCredential(config.respond.account, self._listener.is_ours)
        self._pipeline.engine.guard_credential(own)
        self._logs = AlertLogs(config, self._store)
        self._committed = self._store.cursor(READER)
        # What was noted of these posts is stored: it is their state that is built up again.
        self._noted = self._recovered = self._committed
        remembering = self._pipeline.engine.remembering
        self._checkpoints = Checkpoints(self._store, [*remembering, self._suppression])
        self._cursor = self._checkpoints.restore(self._committed)
        self._problem = ""
        self._unevaluated: Counter[str] = Counter()
        self._findings: list[str] = []
        self._upkeep = Upkeep(config, self._store)
        shared = shared_identities(named_sets(config.sets))
        self._grouping = Grouping(self._store, shared, GroupingMetrics(self._registry))
        self._next_rule_check = 0.0

    def run(self, link: Link) -> None:
        """Evaluate until the link says stop; what is not committed then is evaluated again."""
        settle()
        self._reader.release(self._checkpoints.position)
        link.report_regularly(self._report)
        while not link.stopping.is_set():
            try:
                self._tend(link)
                idle = not self._step()
                idle = not self._grouping.step(time.time()) and idle
            except (StoreUnavailable, OSError) as error:
                self._problem = f"alerts cannot be stored: {error}"
                self._metrics.store_errors.inc()
                log.warning("%s; trying again", self._problem)
                link.stopping.wait(RETRY_SECONDS)
            else:
                if idle:
                    link.stopping.wait(IDLE_SECONDS)
        self._logs.close()
        self._store.close()

    def _step(self) -> bool:
        """Evaluate one group of posts and commit; return whether there was anything to do."""
        items = self._reader.read(self._cursor, GROUP)
        self._problem = self._reader.stalled or ""
        alerts: list[Alert] = []
        unauthenticated: list[Alert] = []
        cursor = self._cursor
        for item in items:
            try:
                (unauthenticated if _is_unproven(item) else alerts).extend(self._take(item))
            except FileBusyError as error:
                self._problem = f"the spool cannot be read now: {error}"
                break
            cursor = item.last if isinstance(item, Lost) else item.seq
        if cursor == self._cursor:
            self._logs.catch_up(self._store)
            return False
        now = time.time()
        line = self._listener.update(now)
        forms = self._logs.forms
        hidden = hiding.hidden(self._store, self._suppression, alerts, unauthenticated, now)
        committed = max(cursor, self._committed)
        new = self._store.record(
            alerts, {READER: committed}, now, unauthenticated, line, forms, hidden=hidden
        )
        self._listener.stored()
        self._cursor, self._committed = cursor, committed
        self._checkpoints.save(cursor)
        self._reader.release(self._checkpoints.position)
        for alert in new:
            self._metrics.alerts.labels(alert.rule.severity).inc()
            if mark := hidden.get(alert.id):
                self._metrics.hidden.labels(alert.rule.id, mark.partition(":")[0]).inc()
        self._logs.catch_up(self._store)
        return True

    def _take(self, item: Post | Lost) -> list[Alert]:
        """Evaluate a post; a loss, also one that shows while the post is read, is noted."""
        if isinstance(item, Lost):
            self._once(item.last, lambda: self._lose(item))
            return []
        known = item.seq <= self._recovered
        self._pipeline.look = None if known else self._listener.look
        if not known:
            self._listener.begin(item.meta)
        try:
            outcome = self._evaluate(item)
        except SealError:
            lost = Lost(item.seq, item.seq, "damaged", received=item.meta.received)
            self._once(item.seq, lambda: self._lose(lost))
            return []
        except FileBusyError:
            raise
        except Exception as error:  # a fault of ours must not stop the events behind this post
            log.exception("post %d could not be evaluated", item.seq)
            reason = f"post {item.seq} could not be evaluated: {type(error).__name__}"
            outcome = Outcome(rejects=[Reject(reason, _first_piece(item))])
        self._once(item.seq, lambda: self._count(item, outcome))
        return outcome.alerts

    def _once(self, seq: int, note: Callable[[], None]) -> None:
        """Note something of a post once, however often it comes while the store fails."""
        if seq > self._noted:
            note()
            self._noted = seq

    def _count(self, post: Post, outcome: Outcome) -> None:
        self._set_aside(post, outcome.rejects)
        self._give_up(outcome.unevaluated)
        self._listener.note(post.meta, outcome.events, time.time())
        self._metrics.posts.inc()
        self._metrics.events.inc(outcome.events)

    def _evaluate(self, post: Post) -> Outcome:
        cluster = post.meta.cluster
        if post.parts == 1:
            outcome = self._pipeline.process(post.body(), cluster)
        else:
            outcome = self._pipeline.process_pieces(post.pieces(), cluster)
        self._logs.note(outcome.wazuh)
        return outcome

    def _set_aside(self, post: Post, rejects: list[Reject]) -> None:
        if not rejects:
            return
        now = time.time()
        cluster = post.meta.cluster
        message = f"events set aside, the last: {rejects[-1].reason}"
        self._store.health.report("quarantine", cluster, message, now)
        pairs = [(reject.reason, reject.raw) for reject in rejects]
        self._quarantine.add(cluster, post.seq, pairs, now)
        self._metrics.quarantined.inc(sum(reject.count for reject in rejects))

    def _give_up(self, unevaluated: Counter[str]) -> None:
        """Keep in mind which rules were given up on events: no match is not what that means."""
        if not unevaluated:
            return
        self._unevaluated.update(unevaluated)
        self._metrics.unevaluated.inc(unevaluated.total())
        now = time.time()
        for name in islice(unevaluated, MAX_TOLD):
            (message,) = not_evaluated({name: self._unevaluated[name]})
            self._store.health.report("unevaluated", name, message, now)

    def _lose(self, lost: Lost) -> None:
        message = (
            f"posts {lost.first} to {lost.last} are {lost.reason} in {lost.file or 'the spool'}"
        )
        log.error("lost: %s", message)
        self._store.health.report("spool", f"lost-{lost.first}", message, time.time())
        self._metrics.lost_posts.inc(lost.last - lost.first + 1)

    def _tend(self, link: Link) -> None:
        """Reload rules and look after the store when it is time."""
        now = time.monotonic()
        if now >= self._next_rule_check or link.reloading.is_set():
            self._next_rule_check = now + RULE_POLL_SECONDS
            self._metrics.lag_posts.set(self._reader.lag(self._cursor).posts)
            self._findings = [finding.message for finding in self._store.health.findings()]
            self._grouping.tend(time.time())
            # Look first: the look also takes note of the present state.
            if self._rules.changed() or link.reloading.is_set():
                link.reloading.clear()
                self._rules.reload(self._pipeline)
                self._suppression.replace(self._suppressions())
        self._upkeep.tend()

    def _report(self) -> Report:
        engine = self._pipeline.engine
        self._metrics.suppress_keys.set(len(self._suppression))
        self._metrics.suppress_evictions.set(self._suppression.evictions)
        for part in engine.remembering:
            self._metrics.state_keys.labels(part.name).set(len(part))
            self._metrics.state_evictions.labels(part.name).set(part.evictions)
        self._metrics.late_hits.set(engine.correlator.windows.late)
        self._metrics.rules.set(self._pipeline.rule_count)
        self._metrics.bad_rule_files.set(len(self._rules.faults))
        self._metrics.buckets.set(engine.stats.buckets)
        self._metrics.rule_faults.set(engine.stats.faults)
        self._metrics.health_findings.set(len(self._findings))
        self._metrics.untracked_posts.set(self._listener.untracked)
        self._metrics.unobserved.set(self._listener.unobserved)
        return Report(
            ready=not self._problem,
            reason=self._problem,
            findings=(*self._rules.faults, *self._rule_failures(), *self._findings),
            metrics=exposition(self._registry),
        )

    def _suppressions(self) -> dict[str, Suppress]:
        engine = self._pipeline.engine
        return hiding.suppressions(engine.rules, engine.correlations, self._config.suppress)

    def _rule_failures(self) -> list[str]:
        count = self._pipeline.engine.stats.faults
        message = f"compiled rules failed on {count} events, which were evaluated rule by rule"
        failures = [message] if count else []
        return failures + [
            f"{part.name}: {part.evictions:,} entries were forgotten for want of room, the oldest "
            "first; more different values come than detection remembers"
            for part in self._pipeline.engine.remembering
            if part.evictions
        ]


def _is_unproven(item: Post | Lost) -> bool:
    """Return whether a post came from somebody who proved nothing."""
    return isinstance(item, Post) and item.meta.source == "unauthenticated"


def _first_piece(post: Post) -> bytes:
    """Return what can be read of a post that something is wrong with."""
    with contextlib.suppress(Exception):
        return next(post.pieces())
    return b""


def _open_store(config: Config) -> SqliteStore:
    channels = config.lowest_severities
    deadline = time.monotonic() + 10 * RETRY_SECONDS
    while True:
        try:
            return own_store(config.store_path, channels, time.time(), config.routes)
        except StoreUnavailable as error:
            if time.monotonic() > deadline:
                message = f"the store is locked by another process: {error}"
                raise TocsinError(message) from error
            time.sleep(RETRY_SECONDS)


def detect(link: Link, config: Config) -> None:
    """Run the detector until told to stop."""
    Detector(config).run(link)
