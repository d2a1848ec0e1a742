"""What pages about rules need beyond the alerts: passed in by `runtime`, like the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from tocsin.model.alert import Alert, RuleRef
from tocsin.model.digest import digest
from tocsin.model.events import FoundEvent
from tocsin.rules.explain import Explanation
from tocsin.rules.trial import Trial

# By dialect and id: ids are unique within a dialect only.
RuleKey = tuple[str, str]


class RuleFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file of a rule says, for people.

    Attributes:
        text: the rule as it stands in the file; empty if it cannot be read any more.
        tests: the text of the tests beside the file; empty without any.
        description: what the rule is for.
        references: where there is more to read; any text, not only addresses.
        falsepositives: what else makes it fire.
    """

    text: str = ""
    tests: str = ""
    description: str = ""
    references: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()


class Firing(msgspec.Struct, frozen=True):
    """Whether a rule can fire on what clusters were seen to record, and why not.

    `never`: of all requests it is for, none carried what it needs; `unknown`: none was seen.
    """

    state: Literal["full", "partial", "never", "unknown"]
    why: str = ""


def key_of(rule: RuleRef) -> RuleKey:
    """Return what tells a rule from all others."""
    return rule.dialect, rule.id


def rule_path(rule: RuleRef) -> str:
    """Return the path of a rule's page: ids are any text, so a digest stands for them."""
    return f"/rules/{digest(rule.dialect, rule.id)}"


def is_web_link(text: str) -> bool:
    """Return whether a text of a rule file may stand behind a link."""
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Functions about rules; they may block.

    Attributes:
        rules: the rules in force, of every dialect.
        file_of: what the file of a rule says.
        firing: whether each rule can fire, by what clusters were seen to record.
        explain: why an alert fired, given its event if that is still retained.
        try_rule: what a rule file makes of events, both as text.
    """

    rules: Callable[[], Sequence[RuleRef]] = tuple
    file_of: Callable[[RuleRef], RuleFile] = lambda _: RuleFile()
    firing: Callable[[], Mapping[RuleKey, Firing]] = dict
    explain: Callable[[Alert, FoundEvent | None], Explanation] = lambda _, __: Explanation()
    try_rule: Callable[[str, str], Trial] = lambda _, __: Trial(problem="not available here")
