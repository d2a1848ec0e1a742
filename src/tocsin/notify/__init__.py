"""Tells people: delivers what was found to chat, mail, pagers and other systems, at least once.

Each kind of channel is one module, registered in `NOTIFIERS`. A channel turns a message into a
request and names the transport that carries it, nothing else; `planner` decides what is told in
one message and when, `channel` delivers, retries and counts. What waits is in the store's
outbox, so nothing is lost with the process, and a receiver may see a message twice.
"""

from tocsin.notify.alertmanager import Alertmanager, AlertmanagerSettings
from tocsin.notify.base import ChannelName, ChannelSettings, Notifier, NotifierInfo, Outcome
from tocsin.notify.mail import Email, EmailSettings
from tocsin.notify.pagerduty import PagerDuty, PagerDutySettings
from tocsin.notify.sender import AnyNotifier, Sender, deliver_test
from tocsin.notify.slack import Slack, SlackSettings
from tocsin.notify.syslog import Syslog, SyslogSettings
from tocsin.notify.teams import Teams, TeamsSettings
from tocsin.notify.webhook import Webhook, WebhookSettings

__all__ = [
    "NOTIFIERS",
    "AlertmanagerSettings",
    "AnyChannelSettings",
    "AnyNotifier",
    "ChannelName",
    "ChannelSettings",
    "EmailSettings",
    "Notifier",
    "NotifierInfo",
    "Outcome",
    "PagerDutySettings",
    "Sender",
    "SlackSettings",
    "SyslogSettings",
    "TeamsSettings",
    "WebhookSettings",
    "deliver_test",
    "make_notifier",
]

AnyChannelSettings = (
    AlertmanagerSettings
    | EmailSettings
    | PagerDutySettings
    | SlackSettings
    | SyslogSettings
    | TeamsSettings
    | WebhookSettings
)

NOTIFIERS = {
    kind.info.name: kind for kind in (Alertmanager, Email, PagerDuty, Slack, Syslog, Teams, Webhook)
}


def make_notifier(name: str, settings: AnyChannelSettings) -> AnyNotifier:  # noqa: PLR0911 - one for each kind
    """Return the channel that the configuration describes under this name."""
    match settings:
        case AlertmanagerSettings():
            return Alertmanager(name, settings)
        case EmailSettings():
            return Email(name, settings)
        case PagerDutySettings():
            return PagerDuty(name, settings)
        case SlackSettings():
            return Slack(name, settings)
        case SyslogSettings():
            return Syslog(name, settings)
        case TeamsSettings():
            return Teams(name, settings)
        case WebhookSettings():
            return Webhook(name, settings)
