"""Tells people: delivers queued alerts to chat, webhooks and Alertmanager, at least once.

Each kind of channel is one module, registered in `NOTIFIERS`. A channel turns an alert into a
request and does nothing else; `sender` delivers, retries and counts. What waits is in the
store's outbox, so nothing is lost with the process, and a receiver may see a message twice.
"""

from tocsin.notify.alertmanager import Alertmanager, AlertmanagerSettings
from tocsin.notify.base import ChannelName, ChannelSettings, Notifier, NotifierInfo, Outcome
from tocsin.notify.sender import Sender, deliver_test
from tocsin.notify.slack import Slack, SlackSettings
from tocsin.notify.webhook import Webhook, WebhookSettings

__all__ = [
    "NOTIFIERS",
    "AlertmanagerSettings",
    "AnyChannelSettings",
    "ChannelName",
    "ChannelSettings",
    "Notifier",
    "NotifierInfo",
    "Outcome",
    "Sender",
    "SlackSettings",
    "WebhookSettings",
    "deliver_test",
    "make_notifier",
]

NOTIFIERS: dict[str, type[Alertmanager | Slack | Webhook]] = {
    notifier.info.name: notifier for notifier in (Alertmanager, Slack, Webhook)
}

AnyChannelSettings = AlertmanagerSettings | SlackSettings | WebhookSettings


def make_notifier(name: str, settings: AnyChannelSettings) -> Notifier:
    """Return the channel that the configuration describes under this name."""
    match settings:
        case AlertmanagerSettings():
            return Alertmanager(name, settings)
        case SlackSettings():
            return Slack(name, settings)
        case WebhookSettings():
            return Webhook(name, settings)
