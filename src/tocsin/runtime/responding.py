"""What the dashboard and the command line say of responses: actions, their reach, the switch."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.response import ObjectRef
from tocsin.respond import switch
from tocsin.respond.actions.base import Action
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.settings import RespondSettings, ResponseRule
from tocsin.runtime.config import Config
from tocsin.runtime.responses import response_rules
from tocsin.runtime.wazuh import Wazuh, load_wazuh_files
from tocsin.runtime.wazuhresponses import wazuh_responses
from tocsin.web.responding import ActionWords, Armed, Possible, Responding

# How much an action touches, by the resources it may change; the widest counts.
_REACH: tuple[tuple[str, frozenset[str]], ...] = (
    ("one pod", frozenset({"pods", "networkpolicies"})),
    ("every pod of one workload", frozenset({"deployments", "statefulsets", "replicasets"})),
    ("whoever a binding names", frozenset({"rolebindings", "clusterrolebindings"})),
    ("everything that uses one account", frozenset({"secrets", "serviceaccounts"})),
    ("what is to run on one node", frozenset({"nodes"})),
)
_UNKNOWN_REACH = "as its configuration says"
_CHANGING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def journal_path(config: Config) -> Path:
    """Return the journal."""
    return config.responses_folder / "journal.jsonl"


def actions_of(_: Config) -> Mapping[str, Action]:
    """Return the actions that responses may ask for."""
    return ACTIONS


def asking(config: Config) -> Sequence[ResponseRule]:
    """Return what asks for actions: response rules, and active responses of Wazuh."""
    settings = config.respond
    wazuh = wazuh_responses(_installations(config), settings.commands)
    return (*response_rules(settings), *wazuh)


def _installations(config: Config) -> Iterator[Wazuh]:
    """Yield the installations of Wazuh that load; detection tells what is wrong with others."""
    for files in config.wazuh:
        with contextlib.suppress(TocsinError):
            yield load_wazuh_files(files)


class FolderSwitch:
    """The kill switch of a data folder."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock

    def stopped(self) -> switch.Stop | None:
        """Return who stopped everything, None while responses may run."""
        return switch.stopped(self._folder)

    def stop(self, who: str, why: str) -> None:
        """Have nothing run any more, also after a restart."""
        switch.stop(self._folder, who, why, self._clock())

    def start(self, who: str) -> None:
        """Let responses run again."""
        switch.start(self._folder, who, self._clock())


def responding(settings: RespondSettings, rules: Sequence[ResponseRule]) -> Responding:
    """Return how Tocsin responds."""
    words = {name: words_of(action) for name, action in ACTIONS.items()}
    return Responding(
        enabled=settings.enabled,
        armed=tuple(
            Armed(name=rule.name, actions=tuple(step.action for step in rule.steps), mode=rule.mode)
            for rule in rules
            if rule.mode != "dry-run"
        ),
        clusters=tuple(settings.clusters),
        four_eyes=settings.approval.four_eyes,
        actions=words,
        possible=functools.partial(possible, words),
    )


def possible(words: Mapping[str, ActionWords], alert: Alert) -> list[Possible]:
    """Return the actions that fit an alert and need no parameters of their own."""
    found = []
    for name, action in ACTIONS.items():
        target = action.target(alert) if _needs_no_parameters(action) else None
        if isinstance(target, ObjectRef):
            found.append(Possible(action=words[name], target=target))
    return found


def words_of(action: Action) -> ActionWords:
    """Return what people read about an action."""
    changed = {
        resource.partition("/")[0]
        for right in action.rights
        if _CHANGING & set(right.verbs)
        for resource in right.resources
    }
    widths = [width for width, (_, resources) in enumerate(_REACH) if resources & changed]
    width = max(widths, default=len(_REACH))
    return ActionWords(
        name=action.name,
        title=action.title,
        effect=action.effect,
        reach=_REACH[width][0] if widths else _UNKNOWN_REACH,
        width=width,
        destructive=action.destructive,
        reversible=action.reversible,
    )


def _needs_no_parameters(action: Action) -> bool:
    try:
        action.parameters()
    except TypeError:
        return False
    return True
