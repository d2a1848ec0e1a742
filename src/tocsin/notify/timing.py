"""When a channel is told of what waits: pure decisions, in Alertmanager's words."""

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.model.alert import SEVERITIES
from tocsin.model.outbox import Topic, is_alone
from tocsin.notify.base import ChannelSettings
from tocsin.notify.message import Reason


def due_at(topic: Topic, settings: ChannelSettings) -> float:
    """Return the moment from which the topic is to be told, in seconds since the epoch."""
    if settings.digest:
        due = topic.oldest + settings.digest
    elif is_alone(topic.key) or topic.news != {"alert"} or is_rise(topic):
        due = topic.oldest
    else:
        wait = 0.0 if topic.severity == "critical" else settings.group_wait
        due = topic.oldest + wait
        if topic.told is not None:
            due = max(due, topic.told.at + settings.group_interval)
    return max(due, topic.next_try)


def is_rise(topic: Topic) -> bool:
    """Return whether the topic has become worse than the channel knows it."""
    if topic.told is None:
        return False
    return (
        "worse" in topic.news
        or SEVERITIES.index(topic.severity) > SEVERITIES.index(topic.told.severity)
        or not topic.techniques <= topic.told.techniques
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """Topics for one message, and why they stand together."""

    topics: tuple[Topic, ...]
    together: Reason | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """For how many messages there is room.

    Attributes:
        this_minute: how many may still be sent this minute, at least 1.
        at_once: the most in one round.
        whole: whether each message has room for a few hundred alerts in full, and no more: then
            all messages are used to tell much together.
    """

    this_minute: int
    at_once: int
    whole: bool = False


def choose(
    topics: Sequence[Topic], settings: ChannelSettings, now: float, room: Room
) -> list[Choice]:
    """Return what to tell now.

    Args:
        topics: what waits, the worst first.
        settings: of the channel.
        now: in seconds since the epoch.
        room: for how many messages there is room. What does not fit is told together in the
            last of them.
    """
    if settings.digest:
        ready = [topic for topic in topics if topic.next_try <= now]
        due = any(due_at(topic, settings) <= now for topic in ready)
        return [Choice(tuple(ready), "digest")] if due else []
    due_now = [topic for topic in topics if due_at(topic, settings) <= now]
    if len(due_now) <= room.this_minute:
        return [Choice((topic,)) for topic in due_now[: room.at_once]]
    if room.this_minute > 1 and not room.whole:
        alone = min(room.at_once, room.this_minute - 1)
        return [Choice((topic,)) for topic in due_now[:alone]]
    return [Choice(tuple(due_now), "storm")]


def longest_wait(settings: ChannelSettings) -> float:
    """Return how long something may have waited before it is first tried, in seconds."""
    return max(settings.group_wait, settings.group_interval, settings.digest)
