"""An incident with all its evidence as one document, to be handed to somebody else."""

from collections.abc import Iterator, Sequence

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.incident import Incident, IncidentEntry, IncidentStore
from tocsin.model.ports import StoredAlert

FORMAT = "tocsin-incident-1"
_STEP = 500


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported.

    Attributes:
        format: name and version of this form.
        exported: when, in seconds since the epoch.
        exported_by: by whom.
        incident: the incident as it was then.
        log: its log, oldest first.
        alerts: its alerts in order of arrival, each with the digests of its events.
        unproven: ids of the alerts that rest on events nobody vouched for.
        evidence: the digests of all events, each once.
    """

    format: str = FORMAT
    exported: float
    exported_by: str
    incident: Incident
    log: Sequence[IncidentEntry]
    alerts: Sequence[Alert]
    unproven: Sequence[str]
    evidence: Sequence[str]


def bundle_of(incidents: IncidentStore, incident_id: str, who: str, now: float) -> Bundle:
    """Return everything that is stored of an incident.

    Raises:
        TocsinError: there is no such incident.
    """
    incident = incidents.incident(incident_id)
    if incident is None:
        message = f"there is no incident {incident_id!r}: `tocsin incidents` lists them"
        raise TocsinError(message)
    found = list(all_alerts(incidents, incident.id))
    alerts = [stored.alert for stored in found]
    return Bundle(
        exported=now,
        exported_by=who,
        incident=incident,
        log=incidents.log_of(incident.id),
        alerts=alerts,
        unproven=[stored.alert.id for stored in found if not stored.authenticated],
        evidence=list(dict.fromkeys(digest for alert in alerts for digest in alert.evidence)),
    )


def all_alerts(incidents: IncidentStore, incident_id: str) -> Iterator[StoredAlert]:
    """Yield all alerts of an incident in order of arrival."""
    after = 0
    while found := incidents.alerts_of(incident_id, _STEP, after):
        yield from found
        after = found[-1].seq
