"""Tell what is odd in Wazuh files, when their rules are put to use."""

from collections.abc import Iterable

import typer

from tocsin.cli.alerts import safe
from tocsin.runtime.wazuh import Wazuh

# An installation with the stock ruleset has hundreds.
MAX_SHOWN = 10


def tell_wazuh_warnings(installations: Iterable[Wazuh]) -> None:
    """Print the first warnings about the files to standard error, and how many more there are."""
    warnings = [
        warning
        for one in installations
        for warning in (*one.installation.warnings, *one.responses.warnings)
    ]
    for warning in warnings[:MAX_SHOWN]:
        typer.echo(f"warning: {safe(str(warning))}", err=True)
    if len(warnings) > MAX_SHOWN:
        more = len(warnings) - MAX_SHOWN
        typer.echo(f"{more} more warnings: see `tocsin rules lint`", err=True)
