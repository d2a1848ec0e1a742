"""`tocsin except`: how to be told no more of alerts like one, and what that would have hidden."""

import json
import shlex
import sys
import time
from typing import Annotated

import msgspec
import typer

from tocsin.cli.alerts import safe
from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.dialects.sigma.exclusion import exclusion
from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.matcher import Matcher, proposal
from tocsin.model.preview import DAYS, Preview, preview
from tocsin.store.sqlite import read_store

AlertArgument = Annotated[str, typer.Argument(metavar="ALERT-ID", help="The alert's id.")]


def except_alert(
    alert_id: AlertArgument,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a silence, and an exclusion from the rule, for alerts like this one.

    Nothing is changed: it prints what to run or to write, with what each would have hidden.

    Example: tocsin except 3f2a9c0e5b7d4a618c2f0e9d7b6a5c4d
    """
    now = time.time()
    with read_store(read_config(config, data).store_path) as store:
        stored = store.alert(alert_id)
        if stored is None:
            message = f"there is no alert {alert_id!r}: `tocsin alerts --json` shows their ids"
            raise TocsinError(message)
        matcher = proposal(stored.alert)
        hidden = preview(store, matcher, now)
        excluded = exclusion(stored.alert)
        text = excluded[1] if excluded else None
        left_out = preview(store, excluded[0], now) if excluded else None
    if as_json:
        _print_json(matcher, hidden, text, left_out)
        return
    print("For a while, a silence; put the reason in:\n")
    print(f"  {safe(command(matcher))}\n")
    _print_preview("It would have hidden", hidden)
    if text is not None and left_out is not None:
        print("\nFor good, an exclusion: a file beside your rules, named in the configuration:\n")
        print("\n".join(f"  {line}" for line in text.splitlines()) + "\n")
        _print_preview("It would have left out", left_out)


def command(matcher: Matcher) -> str:
    """Return the command that makes a silence of a matcher."""
    options = [part for name, value in matcher.parts().items() for part in (f"--{name}", value)]
    return shlex.join(["tocsin", "silence", "add", *options, "--for", "24h", "--reason", "..."])


def _print_preview(what: str, found: Preview) -> None:
    least = "" if found.complete else "at least "
    alerts = "alert" if found.count == 1 else "alerts"
    print(f"{what} {least}{found.count:,} {alerts} of the last {DAYS} days:")
    for alert in found.alerts:
        print(f"  {_line(alert)}")
    if found.count > len(found.alerts):
        print("  ...")


def _line(alert: Alert) -> str:
    when = alert.time[:19].replace("T", " ")
    return safe(f"{when}  {alert.rule.severity}  {alert.actor.user or '-'}  {alert.description}")


def _print_json(
    matcher: Matcher, hidden: Preview, text: str | None, left_out: Preview | None
) -> None:
    found = {
        "silence": {
            "matcher": matcher.parts(),
            "command": command(matcher),
            "preview": msgspec.to_builtins(hidden),
        },
        "exclusion": text and {"text": text, "preview": msgspec.to_builtins(left_out)},
    }
    sys.stdout.write(json.dumps(found) + "\n")
