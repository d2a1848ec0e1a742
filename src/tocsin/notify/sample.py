"""What `tocsin notify test` sends: of the usual shape, marked so that nobody runs."""

from datetime import UTC, datetime

from tocsin.model.alert import Actor, Alert, RuleRef, Target
from tocsin.model.outbox import alert_key
from tocsin.notify.message import Message, Subject


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


def sample_message(channel: str, now: float) -> Message:
    """Return a message with a test alert, as the channel would be sent it."""
    alert = sample_alert(now)
    subject = Subject(alert_key(alert.id), alert.rule.title, alert.rule.severity, 1)
    return Message(f"{channel}-{alert.id}", "test", (subject,), (alert,), (subject.key,), now)
