"""Try a rule that is not in force on events at hand: the test box of the dashboard.

The rule is loaded and evaluated by the code that does so in production. Nothing is kept, and
whoever asks is answered within bounds: of text, of events, and one trial at a time.
"""

import threading
from collections.abc import Iterator, Sequence
from functools import partial

from tocsin.dialects.sigma import load_sigma
from tocsin.dialects.yaml import read_documents
from tocsin.model.errors import Fault, LoadError, Location
from tocsin.normalize.batch import Batch
from tocsin.normalize.decode import decode
from tocsin.normalize.fields import AUDIT
from tocsin.rules.ir import Rule
from tocsin.rules.lint import lint
from tocsin.rules.trial import Trial, Tried
from tocsin.runtime.explaining import explain_event, request_of
from tocsin.runtime.pipeline import new_engine
from tocsin.runtime.rules import Sets, content_folder, named_sets
from tocsin.runtime.ruletest import event_lines
from tocsin.runtime.wazuhtrial import RulesOnTrial, load_wazuh_text

MAX_RULE_CHARACTERS = 32_768
MAX_EVENT_CHARACTERS = 262_144
MAX_TRIED = 50

_CLUSTER = "trial"
_RULE_FILE = "rule.yml"
_EVENT_FILE = "event"
_busy = threading.Lock()


def try_rule(text: str, events: str, sets: Sets) -> Trial:
    """Return what the rules of a file make of some events.

    Args:
        text: the rule file: Sigma (YAML) or Wazuh (XML).
        events: audit events as JSON: one, a list, an EventList, or one in each line; or one as
            rule tests have them (YAML), in which what does not matter is left out.
        sets: texts that users add to the named sets of the built-in rules.
    """
    if len(text) > MAX_RULE_CHARACTERS:
        return _refused(f"the rule is longer than {MAX_RULE_CHARACTERS:,} characters")
    if len(events) > MAX_EVENT_CHARACTERS:
        return Trial(problem=f"the events are longer than {MAX_EVENT_CHARACTERS:,} characters")
    if not _busy.acquire(blocking=False):
        return Trial(problem="another rule is being tried at this moment; try again")
    try:
        return _tried(text, events, sets)
    finally:
        _busy.release()


def _refused(message: str) -> Trial:
    return Trial(faults=(Fault(message, Location(_RULE_FILE)),))


def _tried(text: str, events: str, sets: Sets) -> Trial:
    rules = load_wazuh_text(text) if text.lstrip().startswith("<") else _load_sigma(text, sets)
    batch, problem = _read(events)
    many = rules.count * len(batch.events)
    if many > MAX_TRIED:
        problem = f"these are {many} tries, rules times events; at most {MAX_TRIED} at once"
    return Trial(
        faults=rules.faults,
        warnings=rules.warnings,
        problem=problem,
        rules=rules.count,
        events=len(batch.events),
        tried=() if problem or rules.faults else tuple(rules.tries(batch)),
    )


def _load_sigma(text: str, sets: Sets) -> RulesOnTrial:
    loaded = load_sigma([(_RULE_FILE, text)], named_sets(sets))
    faults = tuple(loaded.faults)
    if not loaded.rules and not faults:
        message = "the rule is for another log source; ours is product: kubernetes, service: audit"
        faults = (Fault(message, Location(_RULE_FILE)),)
    return RulesOnTrial(
        faults=faults,
        warnings=tuple(warning for rule in loaded.rules for warning in lint(rule, AUDIT)),
        count=len(loaded.rules),
        tries=lambda batch: _tries(loaded.rules, batch),
    )


def _tries(rules: Sequence[Rule], batch: Batch) -> Iterator[Tried]:
    for index, event in enumerate(batch.events):
        # Each event by itself: stages of one request would become one alert.
        alerts = new_engine(rules).evaluate([event], partial(_raw, batch, index), _CLUSTER)
        by_rule = {alert.rule.id: alert for alert in alerts}
        for rule in rules:
            root = explain_event(rule, event)
            yield Tried(rule.title, index, request_of(event), root, by_rule.get(rule.id))


def _raw(batch: Batch, index: int, _: int) -> bytes:
    return batch.raw(index)


def _read(text: str) -> tuple[Batch, str]:
    """Return the events of a text, and what is wrong with it."""
    if not text.strip():
        return Batch(), ""
    batch = decode(text.encode("utf-8", "replace"))
    if batch.events and not batch.rejects:
        return batch, ""
    short = _short_form(text)
    if isinstance(short, Batch):
        return short, ""
    if batch.rejects and _is_json(text):
        return Batch(), f"the event cannot be read: {batch.rejects[0].reason}"
    return Batch(), f"the event cannot be read: {short}"


def _is_json(text: str) -> bool:
    return text.lstrip().startswith(("{", "["))


def _short_form(text: str) -> Batch | str:
    """Return the events of a text in the form of rule tests, or why it is none."""
    try:
        lines = [
            line
            for document in read_documents(text, _EVENT_FILE)
            for number, value in enumerate(_entries(document.value), start=1)
            for line in event_lines(value, number, content_folder(), document.at())
        ]
    except LoadError as error:
        return str(error.faults[0])
    batch = decode(b"\n".join(lines))
    return batch.rejects[0].reason if batch.rejects or not batch.events else batch


def _entries(value: object) -> Iterator[dict[str, object]]:
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict):
            raise LoadError([Fault("an event is a mapping of keys", Location(_EVENT_FILE))])
        # It would name a file of this machine.
        if "capture" in entry:
            raise LoadError([Fault("recorded events are for tests only", Location(_EVENT_FILE))])
        yield entry
