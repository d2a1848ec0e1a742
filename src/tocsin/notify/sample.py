"""The alert that `tocsin notify test` sends: of the usual shape, marked so that nobody runs."""

from datetime import UTC, datetime

from tocsin.model.alert import Actor, Alert, RuleRef, Target


def sample_alert(now: float) -> Alert:
    """Return a test alert; its id differs from one second to the next."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Alert(
        id=f"tocsin-test-{int(now)}",
        time=moment,
        cluster="test",
        source="tocsin",
        rule=RuleRef(
            id="tocsin-test",
            title="Tocsin test notification",
            dialect="tocsin",
            severity="info",
            level="info",
        ),
        description="Somebody ran `tocsin notify test`. Nothing happened; nothing is to be done.",
        actor=Actor(),
        target=Target(),
        event=None,
        first_seen=moment,
        last_seen=moment,
    )
