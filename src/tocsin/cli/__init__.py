"""The command line: one module per command."""

import sys

import typer

from tocsin.cli.adopt import adopt
from tocsin.cli.alerts import alerts
from tocsin.cli.backfill import backfill
from tocsin.cli.backup import backup, restore_backup
from tocsin.cli.bench import bench
from tocsin.cli.clusters import clusters_app
from tocsin.cli.demo import demo
from tocsin.cli.detect import detect
from tocsin.cli.doctor import doctor
from tocsin.cli.events import events
from tocsin.cli.explain import explain
from tocsin.cli.incidents import incidents_app
from tocsin.cli.logtest import logtest
from tocsin.cli.notify import notify_app
from tocsin.cli.quarantine import quarantine_app
from tocsin.cli.rules import rules_app
from tocsin.cli.serve import serve
from tocsin.cli.setup import setup_app
from tocsin.cli.sources import sources
from tocsin.cli.tokens import tokens_app
from tocsin.cli.users import users_app
from tocsin.cli.wazuh import wazuh_app
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable

app = typer.Typer(
    name="tocsin",
    help="The alarm bell for Kubernetes clusters: detect attacks in audit events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(serve)
app.command()(demo)
app.command()(detect)
app.command()(alerts)
app.add_typer(incidents_app, name="incidents")
app.command()(events)
app.command()(sources)
app.command()(backfill)
app.command()(backup)
app.command("restore")(restore_backup)
setup_app.command()(adopt)
app.add_typer(setup_app, name="setup")
app.add_typer(clusters_app, name="clusters")
app.command()(doctor)
app.add_typer(rules_app, name="rules")
app.command()(explain)
app.command()(logtest)
app.add_typer(wazuh_app, name="wazuh")
app.add_typer(notify_app, name="notify")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(users_app, name="users")
app.add_typer(tokens_app, name="tokens")
app.command()(bench)


def main() -> None:
    """Run the command line; what a user can put right is one sentence and exit code 2."""
    try:
        app(prog_name="tocsin")
    except (TocsinError, StoreUnavailable) as error:
        print(f"tocsin: {error}", file=sys.stderr)
        sys.exit(2)
