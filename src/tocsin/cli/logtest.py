"""`tocsin logtest`: what Wazuh decoders and rules make of log lines."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.alerts import safe
from tocsin.dialects.wazuh.evaluate import Result, Session
from tocsin.dialects.wazuh.output import as_object, decoder, groups, reserialised
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
) -> None:
    """Read log lines from standard input and print what Wazuh rules make of each.

    An empty line starts a fresh session: counters and correlations begin anew.

    Example: tocsin logtest --wazuh /var/ossec/etc < audit.log
    """
    loaded = load_wazuh(wazuh, strict=strict)
    for warning in loaded.installation.warnings:
        typer.echo(f"** WARNING: {safe(str(warning))}", err=True)
    try:
        _show(_results(loaded, strict=strict), as_json=as_json)
    except BrokenPipeError:
        # The reader of our output has seen enough (`| head`): what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(results: Iterator[tuple[bytes, Result]], *, as_json: bool) -> None:
    for log, result in results:
        if result.unevaluated or result.decoded.given_up:
            typer.echo(f"** WARNING: too costly, not evaluated: {_given_up(result)}", err=True)
        typer.echo(json.dumps(as_object(result)) if as_json else _phases(log, result))


def _given_up(result: Result) -> str:
    rules = [f"rule {number}" for number in result.unevaluated[:MAX_SHOWN]]
    more = len(result.unevaluated) - len(rules)
    decoders = [f"decoder {safe(name)}" for name in result.decoded.given_up]
    return ", ".join([*decoders, *rules, *([f"{more} more rules"] if more else [])])


def _results(loaded: Wazuh, *, strict: bool) -> Iterator[tuple[bytes, Result]]:
    session = _session(loaded)
    with os.fdopen(STDIN, "rb", closefd=False) as lines:
        for line in lines:
            log = line.removesuffix(b"\n")
            if not log.strip():
                session = _session(loaded)
                continue
            log = log if strict else reserialised(log)
            yield log, session.feed(log, LOCATION)


def _session(loaded: Wazuh) -> Session:
    return loaded.installation.session(time.time, loaded.thresholds, HOSTNAME)


def _phases(log: bytes, result: Result) -> str:
    """Return the three phases of a log, as Wazuh's logtest prints them."""
    lines = ["", "**Phase 1: Completed pre-decoding."]
    lines.append(_line("full event", log.decode("utf-8", "replace")))
    lines += ["", "**Phase 2: Completed decoding."]
    named = decoder(result)
    if named:
        data = sorted(_flat(result.fields.nested()))
        lines += [_line(key, named[key]) for key in ("name", "parent") if key in named]
        lines += [_line(key, value) for key, value in data]
    else:
        lines.append("\tNo decoder matched.")
    if result.rule is not None:
        lines += ["", "**Phase 3: Completed filtering (rules).", *_rule(result)]
    if result.alert:
        lines.append("**Alert to be generated.")
    return "\n".join(lines)


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
