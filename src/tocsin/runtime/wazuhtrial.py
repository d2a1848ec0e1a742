"""Wazuh rules on trial: those of one file, above what is built in, on events in their order."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from tocsin.dialects.wazuh.asalert import reference
from tocsin.dialects.wazuh.evaluate import Thresholds
from tocsin.dialects.wazuh.install import Files, install
from tocsin.dialects.wazuh.rules import Rule
from tocsin.model.errors import Fault, LoadError
from tocsin.normalize.batch import Batch
from tocsin.rules.trial import Tried
from tocsin.runtime.explaining import explain_wazuh, request_of
from tocsin.runtime.pipeline import new_wazuh_node
from tocsin.runtime.wazuh import Wazuh
from tocsin.runtime.wazuhfiles import WazuhFiles

_CLUSTER = "trial"
_FILE = "rule.xml"


@dataclass(frozen=True, slots=True)
class RulesOnTrial:
    """The rules of a text: what is wrong with them, how many, and how they are tried."""

    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    count: int
    tries: Callable[[Batch], Iterable[Tried]]


def load_wazuh_text(text: str) -> RulesOnTrial:
    """Return the Wazuh rules of a text; of decoders there is only what is built in."""
    try:
        installation = install(Files(rules=((_FILE, text),)), strict=False)
    except LoadError as error:
        return RulesOnTrial(tuple(error.faults), (), 0, lambda _: ())
    wazuh = Wazuh(installation, Thresholds(), WazuhFiles(), version="")
    rules = [rule for rule in wazuh.rules() if rule.at.path == _FILE]
    return RulesOnTrial(
        (), installation.warnings, len(rules), lambda batch: _tries(wazuh, rules, batch)
    )


def _same(raw: bytes, _: int) -> bytes:
    return raw


def _tries(wazuh: Wazuh, rules: list[Rule], batch: Batch) -> Iterator[Tried]:
    # One after the other in one session: rules may count events.
    node = new_wazuh_node(wazuh)
    for index, event in enumerate(batch.events):
        raw = batch.raw(index)
        hits = node.evaluate([event], partial(_same, raw), _CLUSTER).hits
        alerts = {hit.alert.rule.id: hit.alert for hit in hits}
        for rule in rules:
            ref = reference(rule)
            alert = alerts.get(ref.id)
            fired = alert is not None
            root = explain_wazuh(wazuh, rule.id, event, raw, _CLUSTER, fired=fired)
            if root is not None:
                yield Tried(f"{ref.id} {ref.title}", index, request_of(event), root, alert)
