"""The event of an alert, if it is still retained."""

from datetime import datetime

from tocsin.model.alert import Alert
from tocsin.model.events import FoundEvent
from tocsin.model.ports import StoreUnavailable
from tocsin.web.page import Context


async def event_of(context: Context, alert: Alert) -> FoundEvent | None:
    """Return the event that an alert is from, None if it is not found in time."""
    if alert.event is None or not alert.evidence:
        return None
    around = datetime.fromisoformat(alert.time)
    find = context.site.events.find
    try:
        return await context.read(
            find, alert.cluster, alert.evidence[0], around, alert.event.audit_id
        )
    except (StoreUnavailable, TimeoutError):
        return None
