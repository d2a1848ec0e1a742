"""What Wazuh and its active-response programs say to each other, and what is pending for it.

A program reads one line of JSON. It may ask which keys are pending (`check_keys`) and is told
to go on or not; after the timeout it is run again with `delete`. Which keys are pending stands
in the journal, so that a restart loses none.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from tocsin.model.response import Entry

NODE: Final = "node01"
"""What Wazuh calls a manager that is no cluster of managers."""

MAX_KEYS = 100
_MAX_KEY = 1024
KEY = "active_response"
"""Under what a line of the journal tells of the dialogue."""

Told = Literal["add", "delete", "continue", "abort"]


def message(
    told: Told,
    program: str,
    extra_args: Sequence[str],
    alert: Mapping[str, object],
    node: str = NODE,
) -> bytes:
    """Return the line that Wazuh's execd writes to a program.

    Args:
        told: what the program shall do.
        program: the name of its file.
        extra_args: the words of the command's `extra_args`, as they stand in ossec.conf.
        alert: the alert in Wazuh's shape.
        node: the name of the manager.
    """
    line = {
        "version": 1,
        "origin": {"name": node, "module": "wazuh-execd"},
        "command": told,
        "parameters": {
            "extra_args": list(extra_args),
            "alert": alert,
            "program": f"active-response/bin/{program}",
        },
    }
    text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"


def keys_of(program: str, answer: bytes) -> str:
    """Return what a program's answer stands for: its keys, or itself if it says anything else."""
    return "".join([program, *(f"-{key}" for key in _keys(answer))])


def _keys(answer: bytes) -> list[str]:
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.DecodeError, RecursionError):
        return []
    if not isinstance(told, dict) or told.get("command") != "check_keys":
        return []
    parameters = told.get("parameters")
    keys = parameters.get("keys") if isinstance(parameters, dict) else None
    if not isinstance(keys, list):
        return []
    return [key[:_MAX_KEY] for key in keys[:MAX_KEYS] if isinstance(key, str)]


class Pending(msgspec.Struct, frozen=True):
    """A program that has to be run again, with `delete`.

    Attributes:
        key: what it is for.
        alert_id: the alert of the message that it gets then: that of the first time.
        response: the response that set the time last, at whose end it is run.
        until: when, in seconds since the epoch.
    """

    key: str
    alert_id: str
    response: str
    until: float


@dataclass(slots=True)
class Table:
    """What is pending, and how often each key came up; not to be shared between threads."""

    pending: dict[str, Pending] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_entries(cls, entries: Iterable[Entry]) -> "Table":
        """Return what the journal says is pending."""
        table = cls()
        for entry in entries:
            table.take(entry.data)
        return table

    def take(self, data: Mapping[str, object]) -> None:
        """Take over a line of the journal."""
        told = data.get(KEY)
        if not isinstance(told, dict):
            return
        if (over := told.get("over")) is not None:
            self.pending.pop(str(over), None)
        elif "pending" in told:
            pending = msgspec.convert(told["pending"], Pending)
            self.pending[pending.key] = pending
            self.times[pending.key] = self.times.get(pending.key, 0) + bool(told.get("new"))

    def ask(
        self, key: str, response: str, alert_id: str, seconds: Sequence[float], now: float
    ) -> tuple[Told, dict[str, object]]:
        """Return what to tell a program that named a key, and the line for the journal.

        Args:
            key: what it named.
            response: the response that runs it.
            alert_id: the alert of its message.
            seconds: the timeout of the first time, then those of later times; the last one
                stands for all after it. Without a timeout nothing is ever pending.
            now: in seconds since the epoch.
        """
        if not seconds or not seconds[0]:
            return "continue", {}
        known = self.pending.get(key)
        times = self.times.get(key, 0)
        if known is not None:
            wait = wait_of(seconds, max(times - 1, 0))
            renewed = Pending(key, known.alert_id, response, now + wait)
            return "abort", {KEY: {"pending": msgspec.to_builtins(renewed), "new": False}}
        fresh = Pending(key, alert_id, response, now + wait_of(seconds, times))
        return "continue", {KEY: {"pending": msgspec.to_builtins(fresh), "new": True}}

    def of(self, response: str) -> list[Pending]:
        """Return what is to be run when a response ends."""
        return [one for one in self.pending.values() if one.response == response]


def over(key: str) -> dict[str, object]:
    """Return the line for the journal that a key is no longer pending."""
    return {KEY: {"over": key}}


def wait_of(seconds: Sequence[float], times: int) -> float:
    """Return the timeout of a time, counted from 0."""
    return seconds[min(times, len(seconds) - 1)]
