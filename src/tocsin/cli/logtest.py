"""`tocsin logtest`: what Wazuh decoders and rules make of log lines."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.alerts import safe
from tocsin.dialects.wazuh.evaluate import Result, Session
from tocsin.dialects.wazuh.output import as_object, decoder, groups, reserialised, why_object
from tocsin.dialects.wazuh.why import Stop
from tocsin.dialects.wazuh.whydecode import TriedDecoder, tried_decoders
from tocsin.runtime.wazuh import Wazuh, load_wazuh

STDIN = 0
LOCATION = "stdin"
HOSTNAME = "localhost"
MAX_SHOWN = 10


def logtest(
    *,
    wazuh: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder with Wazuh files: decoders/, rules/, lists/, ossec.conf, or .xml files.",
        ),
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Do exactly what Wazuh does, its bugs included.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per log line.")
    ] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Tell which rules were tried and what stopped each.")
    ] = False,
) -> None:
    """Read log lines from standard input and print what Wazuh rules make of each.

    An empty line starts a fresh session: counters and correlations begin anew.

    Example: tocsin logtest --wazuh /var/ossec/etc --why < audit.log
    """
    loaded = load_wazuh(wazuh, strict=strict)
    for warning in loaded.installation.warnings:
        typer.echo(f"** WARNING: {safe(str(warning))}", err=True)
    try:
        for log, result in _results(loaded, strict=strict, why=why):
            _warn(result)
            tried = tried_decoders(loaded.installation.decoders, log) if why else None
            typer.echo(_as_json(result, tried) if as_json else _as_text(log, result, tried))
    except BrokenPipeError:
        # The reader of our output has seen enough (`| head`): what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _warn(result: Result) -> None:
    if result.unevaluated or result.decoded.given_up:
        typer.echo(f"** WARNING: too costly, not evaluated: {_given_up(result)}", err=True)


def _as_json(result: Result, tried: Sequence[TriedDecoder] | None) -> str:
    shown = as_object(result)
    return json.dumps(shown if tried is None else {**shown, "why": why_object(result, tried)})


def _as_text(log: bytes, result: Result, tried: Sequence[TriedDecoder] | None) -> str:
    phases = [_phase_1(log), _phase_2(result), _phase_3(result)]
    if tried is not None:
        phases[1] += _decoders_tried(tried)
        phases[2] = [*_rules_tried(result), *phases[2]]
    return "\n".join(line for phase in phases for line in phase)


def _given_up(result: Result) -> str:
    rules = [f"rule {number}" for number in result.unevaluated[:MAX_SHOWN]]
    more = len(result.unevaluated) - len(rules)
    decoders = [f"decoder {safe(name)}" for name in result.decoded.given_up]
    return ", ".join([*decoders, *rules, *([f"{more} more rules"] if more else [])])


def _results(loaded: Wazuh, *, strict: bool, why: bool) -> Iterator[tuple[bytes, Result]]:
    session = _session(loaded, why=why)
    with os.fdopen(STDIN, "rb", closefd=False) as lines:
        for line in lines:
            log = line.removesuffix(b"\n")
            if not log.strip():
                session = _session(loaded, why=why)
                continue
            log = log if strict else reserialised(log)
            yield log, session.feed(log, LOCATION)


def _session(loaded: Wazuh, *, why: bool) -> Session:
    return loaded.installation.session(time.time, loaded.thresholds, HOSTNAME, why=why)


# The three phases of a log are as Wazuh's logtest prints them.
def _phase_1(log: bytes) -> list[str]:
    event = _line("full event", log.decode("utf-8", "replace"))
    return ["", "**Phase 1: Completed pre-decoding.", event]


def _phase_2(result: Result) -> list[str]:
    lines = ["", "**Phase 2: Completed decoding."]
    named = decoder(result)
    if named:
        data = sorted(_flat(result.fields.nested()))
        lines += [_line(key, named[key]) for key in ("name", "parent") if key in named]
        lines += [_line(key, value) for key, value in data]
    else:
        lines.append("\tNo decoder matched.")
    return lines


def _phase_3(result: Result) -> list[str]:
    if result.rule is None:
        return []
    lines = ["", "**Phase 3: Completed filtering (rules).", *_rule(result)]
    return [*lines, "**Alert to be generated."] if result.alert else lines


def _decoders_tried(tried: Sequence[TriedDecoder]) -> list[str]:
    lines = ["", "**Decoder debugging:"]
    for one in tried:
        parent = f" (below {one.decoder.parent})" if one.decoder.parent else ""
        lines.append(f"\tTrying decoder: {safe(one.decoder.name)}{safe(parent)}")
        lines.append(_outcome("\t\t*Decoder matched", one.stopped))
    return lines


def _rules_tried(result: Result) -> list[str]:
    lines = ["", "**Rule debugging:"]
    for one in result.tried:
        lines.append(f"\tTrying rule: {one.rule.id} - {safe(one.rule.description)}")
        lines.append(_outcome(f"\t\t*Rule {one.rule.id} matched", one.stopped))
        if one.children:
            lines.append("\t\t*Trying child rules")
    return lines


def _outcome(matched: str, stopped: Stop | None) -> str:
    if stopped is None:
        return matched
    told = f"<{stopped.element}> asks for {stopped.asks}; seen: {stopped.seen}"
    return f"\t\tstopped: {safe(told)}"


def _rule(result: Result) -> Iterator[str]:
    rule = result.rule
    if rule is None:
        return
    found = groups(rule)
    first = {
        "id": rule.id,
        "level": rule.level,
        "description": result.description,
        "groups": found.pop("groups"),
        "firedtimes": result.fired,
    }
    rest: dict[str, object] = {**found, "mail": result.mail}
    if rule.correlation is not None:
        rest["frequency"] = rule.correlation.frequency
    if rule.techniques:
        rest["mitre.id"] = list(rule.techniques)
    for key, value in (*first.items(), *sorted(rest.items())):
        yield _line(key, value)


def _flat(data: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the values of `data` by their dotted names; an event nests them at will."""
    waiting = [(prefix, data)]
    while waiting:
        above, members = waiting.pop()
        for key, value in members.items():
            if isinstance(value, dict):
                waiting.append((f"{above}{key}.", value))
            else:
                yield f"{above}{key}", value


def _line(key: str, value: object) -> str:
    return f"\t{safe(key)}: '{safe(str(value))}'"
