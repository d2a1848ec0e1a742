"""What `tocsin clusters list` shows: credentials with their state, and what to look at."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.table import Table

from tocsin.connect.clusters import Certificate, Cluster, Token, load_clusters
from tocsin.connect.credentials import SHOWN
from tocsin.ingest.networks import OPEN_CLUSTER, banner
from tocsin.model.errors import TocsinError
from tocsin.model.ports import SourceState, StoreUnavailable
from tocsin.runtime.config import Config
from tocsin.runtime.expiry import expiring_certificates
from tocsin.store.sqlite import read_store


def heard(settings: Config) -> list[SourceState]:
    """Return what the store knows of each source; nothing where there is no store to read."""
    try:
        with read_store(settings.store_path) as store:
            return store.sources.sources()
    except (TocsinError, StoreUnavailable):
        return []


def table(known: Mapping[str, Cluster], sources: Sequence[SourceState], now: datetime) -> Table:
    """Return all credentials as a table for a terminal."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("cluster", "credential", "created", "expires", "state", "last post"):
        shown.add_column(column, overflow="fold")
    for name, cluster in sorted(known.items()):
        last = moment_text(_last_post(name, sources))
        if not cluster.credentials:
            state = "revoked" if cluster.revoked else "good"
            shown.add_row(name, "none listed", "-", "-", state, last)
        for number, credential in enumerate(cluster.credentials):
            shown.add_row(
                "" if number else name,
                called(credential),
                day_text(credential.created),
                day_text(_expires(credential)),
                _state(cluster, credential, now),
                "" if number else last,
            )
    return shown


def warnings(settings: Config, sources: Sequence[SourceState], now: datetime) -> list[str]:
    """Return what somebody should look at: open networks, certificates near their end."""
    found = []
    if warning := banner(settings.webhook.allow_unauthenticated_from):
        last = _last_post(OPEN_CLUSTER, [s for s in sources if s.source == "unauthenticated"])
        came = f"The last such post came at {moment_text(last)}" if last else "None came so far"
        found.append(f"{warning}. {came}.")
    return [*found, *_expiry_warnings(settings, now)]


def as_data(
    name: str, cluster: Cluster, sources: Sequence[SourceState], now: datetime
) -> dict[str, object]:
    """Return a cluster for `--json`."""
    return {
        "name": name,
        "revoked": stamp(cluster.revoked),
        "last_post": stamp(_last_post(name, sources)),
        "credentials": [
            {
                "kind": _kind(credential),
                "id": credential.identity,
                "created": stamp(credential.created),
                "expires": stamp(_expires(credential)),
                "refused_from": stamp(credential.refused_from),
                "good": cluster.takes(credential, now),
            }
            for credential in cluster.credentials
        ],
    }


def called(credential: Certificate | Token) -> str:
    """Return what a person calls a credential."""
    return f"{_kind(credential)} {credential.identity[:SHOWN]}"


def moment_text(moment: datetime | None) -> str:
    """Return a time to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "-"


def day_text(moment: datetime | None) -> str:
    """Return a day."""
    return f"{moment:%Y-%m-%d}" if moment else "-"


def stamp(moment: datetime | None) -> str | None:
    """Return a time for `--json`."""
    return moment.isoformat() if moment else None


def _kind(credential: Certificate | Token) -> str:
    return "certificate" if isinstance(credential, Certificate) else "token"


def _expires(credential: Certificate | Token) -> datetime | None:
    return credential.expires if isinstance(credential, Certificate) else None


def _last_post(cluster: str, sources: Sequence[SourceState]) -> datetime | None:
    times = [source.last_received for source in sources if source.cluster == cluster]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _state(cluster: Cluster, credential: Certificate | Token, now: datetime) -> str:
    expires = _expires(credential)
    if cluster.revoked:
        return "revoked"
    if expires and expires <= now:
        return "expired"
    if credential.refused_from is None:
        return "good"
    if credential.refused_from <= now:
        return "refused"
    return f"ends {moment_text(credential.refused_from)}"


def _expiry_warnings(settings: Config, now: datetime) -> list[str]:
    if not load_clusters(settings.folder).clusters:
        return []
    try:
        found = expiring_certificates(settings, now)
    except TocsinError as error:
        return [str(error)]
    return [
        f"{each.what} {'expired' if each.state == 'expired' else 'expires'} on "
        f"{day_text(each.expires)}: {each.mend}"
        for each in found
    ]
