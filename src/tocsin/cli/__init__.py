"""The command line: one module per command."""

import sys

import typer

from tocsin.cli.ondemand import CommandsOnDemand
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable

app = typer.Typer(
    name="tocsin",
    cls=CommandsOnDemand,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def tocsin() -> None:
    """The alarm bell for Kubernetes clusters: detect attacks in audit events."""


def main() -> None:
    """Run the command line; what a user can put right is one sentence and exit code 2."""
    try:
        app(prog_name="tocsin")
    except (TocsinError, StoreUnavailable) as error:
        print(f"tocsin: {error}", file=sys.stderr)
        sys.exit(2)
