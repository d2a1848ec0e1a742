"""Read `<command>` and `<active-response>` of ossec.conf: which rules have which program run.

A block that Wazuh would refuse is a fault. Nothing is run here, and nothing is looked for on
the disk.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from tocsin.dialects.wazuh.expressions import Expression, compile_expression
from tocsin.dialects.wazuh.faults import Findings, RefusedError, refuse
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.xml import Element
from tocsin.model.errors import Fault, Location
from tocsin.rules.bytepatterns import BudgetSpent
from tocsin.rules.regex import PatternError

Place = Literal["server", "local", "defined-agent", "all"]

MAX_ARGUMENTS_BYTES: Final = 2047
MAX_OFFENDERS: Final = 5
MAX_LEVEL: Final = 20
_MAX_DIGITS: Final = 9
_COMMAND_PARTS = frozenset({"name", "executable", "extra_args", "timeout_allowed", "expect"})
_RESPONSE_PARTS = frozenset(
    {
        "command",
        "location",
        "agent_id",
        "level",
        "rules_group",
        "rules_id",
        "timeout",
        "disabled",
        "repeated_offenders",
        "ca_store",
        "ca_verification",
    }
)
# Those of agents, or of the whole installation: a block with nothing else is no response.
_GENERAL_PARTS = frozenset({"disabled", "repeated_offenders", "ca_store", "ca_verification"})
# Searched for in this order, as Wazuh does.
_PLACES: tuple[tuple[Place, tuple[str, ...]], ...] = (
    ("server", ("as", "analysisd", "analysis-server", "server")),
    ("local", ("local",)),
    ("defined-agent", ("defined-agent",)),
    ("all", ("all", "any")),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A program that responses name; `extra_args` are its words."""

    name: str
    executable: str
    extra_args: tuple[str, ...]
    timeout_allowed: bool
    at: Location


@dataclass(frozen=True, slots=True)
class WazuhResponse:
    """An enabled `<active-response>` with its command.

    Attributes:
        command: the command.
        location: where Wazuh would run it.
        agent_id: the agent, for `defined-agent`.
        level: the lowest level of rules; 0 if none is asked for.
        group: what the rule's groups have to match.
        ids: ids of rules.
        timeout: seconds after which it is taken back; 0 for never.
        offenders: seconds for the second time and later ones, for the same keys.
        at: where it stands.
    """

    command: Command
    location: Place
    at: Location
    agent_id: str = ""
    level: int = 0
    group: Expression | None = None
    ids: frozenset[int] = frozenset()
    timeout: int = 0
    offenders: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The name that Wazuh gives it: that of the command, and the timeout."""
        return f"{self.command.name}{self.timeout}"

    def matches(self, level: int, groups: str, number: int) -> bool:
        """Return whether a rule with these properties asks for it."""
        return number in self.ids or self._by_level_and_group(level, groups)

    def bound_to(self, rules: Iterable[Rule]) -> tuple[int, ...]:
        """Return the ids of the rules that ask for it."""
        return tuple(
            rule.id
            for rule in rules
            if rule.level > 0
            and "no_ar" not in rule.options
            and self.matches(rule.level, rule.groups, rule.id)
        )

    def _by_level_and_group(self, level: int, groups: str) -> bool:
        if not self.level and self.group is None:
            return False
        return level >= self.level and (self.group is None or _found(self.group, groups))


@dataclass(frozen=True, slots=True)
class Responses:
    """The responses of an ossec.conf, in its order, and what is odd about them."""

    enabled: tuple[WazuhResponse, ...] = ()
    warnings: tuple[Fault, ...] = ()


def read_responses(sections: Sequence[Element], path: str) -> Responses:
    """Return the responses of the sections of an ossec.conf.

    Raises:
        LoadError: Wazuh would not start with this; all faults.
    """
    reader = _Reader(path)
    for section in sections:
        reader.take(section)
    reader.findings.check()
    return reader.responses()


@dataclass(slots=True)
class _Reader:
    """Reads section after section: a command has to stand before what names it."""

    path: str
    commands: dict[str, Command] = field(default_factory=dict)
    found: list[WazuhResponse] = field(default_factory=list)
    offenders: tuple[int, ...] = ()
    disabled: bool = False
    findings: Findings = field(default_factory=Findings)

    def take(self, section: Element) -> None:
        try:
            if section.name.lower() == "command":
                self._command(section)
            elif section.name.lower() == "active-response":
                self._response(section)
        except RefusedError as refused:
            self.findings.faults.append(refused.fault)

    def responses(self) -> Responses:
        enabled = () if self.disabled else tuple(map(self._with_offenders, self.found))
        return Responses(enabled, tuple(self.findings.warnings))

    def _with_offenders(self, one: WazuhResponse) -> WazuhResponse:
        # Wazuh has one list for all of them.
        return replace(one, offenders=self.offenders if one.timeout else ())

    def _command(self, section: Element) -> None:
        parts = self._parts(section, _COMMAND_PARTS)
        at = Location(self.path, section.line)
        name, executable = parts.get("name", ""), parts.get("executable", "")
        if not name or not executable:
            refuse("a <command> needs <name> and <executable>", at)
        if name.startswith("!"):
            refuse(f"the name of a <command> must not begin with `!`: {name!r}", at)
        if "/" in executable or ".." in executable or executable.startswith("-"):
            refuse(f"<executable> is the name of a file, without a folder: {executable!r}", at)
        words = parts.get("extra_args", "")
        if len(words.encode("utf-8", "surrogateescape")) > MAX_ARGUMENTS_BYTES:
            refuse(f"<extra_args> has more than {MAX_ARGUMENTS_BYTES} bytes", at)
        # In Wazuh the first of two commands with one name is found.
        self.commands.setdefault(
            name,
            Command(
                name=name,
                executable=executable,
                extra_args=tuple(word for word in words.split(" ") if word),
                timeout_allowed=self._yes(parts, "timeout_allowed", at),
                at=at,
            ),
        )

    def _response(self, section: Element) -> None:
        parts = self._parts(section, _RESPONSE_PARTS)
        at = Location(self.path, section.line)
        disabled = self._yes(parts, "disabled", at)
        if "repeated_offenders" in parts and not self.offenders:
            self.offenders = tuple(_offenders(parts["repeated_offenders"], at))
        if parts.keys() <= _GENERAL_PARTS:
            self.disabled |= disabled
            return
        response = self._made(parts, at)
        if not disabled:
            self._warn(response)
            self.found.append(response)

    def _made(self, parts: dict[str, str], at: Location) -> WazuhResponse:
        for needed in ("command", "location"):
            if not parts.get(needed):
                refuse(f"an <active-response> needs <{needed}>", at)
        command = self.commands.get(parts["command"])
        if command is None:
            refuse(f"there is no <command> {parts['command']!r} before this", at)
        location = _location(parts["location"], at)
        if location == "defined-agent" and not parts.get("agent_id"):
            refuse("<location> defined-agent needs <agent_id>", at)
        timeout = _number(parts, "timeout", at)
        if timeout and not command.timeout_allowed:
            message = f"<timeout> has no effect: the command {command.name!r} does not allow it"
            self.findings.warn(message, at)
            timeout = 0
        level = _number(parts, "level", at)
        if level > MAX_LEVEL:
            refuse(f"<level> is not between 0 and {MAX_LEVEL}: {level}", at)
        return WazuhResponse(
            command=command,
            location=location,
            at=at,
            agent_id=parts.get("agent_id", ""),
            level=level,
            group=_group(parts, at),
            ids=frozenset(_ids(parts.get("rules_id", ""))),
            timeout=timeout,
        )

    def _warn(self, response: WazuhResponse) -> None:
        if not (response.level or response.group or response.ids):
            message = (
                "this response never runs: give it a <level>, <rules_group> or <rules_id> "
                "that is not 0"
            )
            self.findings.warn(message, response.at)
        if response.location in ("defined-agent", "all"):
            message = f"<location> {response.location}: there are no agents; it runs here"
            self.findings.warn(message, response.at)

    def _parts(self, section: Element, known: frozenset[str]) -> dict[str, str]:
        """Return the texts of a section's elements by their names; of several, the last."""
        parts = {}
        for element in section.children:
            name = element.name.lower()
            if name not in known:
                at = Location(self.path, element.line)
                refuse(f"a <{section.name}> has no <{element.name}>", at)
            parts[name] = element.text.strip()
        return parts

    def _yes(self, parts: dict[str, str], name: str, at: Location) -> bool:
        text = parts.get(name, "no").lower()
        if text not in ("yes", "no"):
            refuse(f"<{name}> is neither yes nor no: {text!r}", at)
        return text == "yes"


def _location(text: str, at: Location) -> Place:
    """Return the place that a text names: Wazuh searches for words, also inside of others."""
    lowered = text.lower()
    found = (place for place, words in _PLACES if any(word in lowered for word in words))
    place = next(found, None)
    if place is None:
        refuse(f"<location> is none of server, local, defined-agent, all: {text!r}", at)
    return place


def _number(parts: dict[str, str], name: str, at: Location) -> int:
    text = parts.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        refuse(f"<{name}> is no number: {text!r}", at)
    return int(text)


def _offenders(text: str, at: Location) -> Iterator[int]:
    """Yield the minutes of `repeated_offenders` as seconds."""
    items = [item.strip() for item in text.split(",")]
    if len(items) > MAX_OFFENDERS:
        refuse(f"<repeated_offenders> has more than {MAX_OFFENDERS} numbers", at)
    for item in items:
        if not (item.isascii() and item.isdigit() and 0 < len(item) <= _MAX_DIGITS and int(item)):
            refuse(f"<repeated_offenders> is no list of minutes: {text!r}", at)
        yield int(item) * 60


def _group(parts: dict[str, str], at: Location) -> Expression | None:
    pattern = parts.get("rules_group")
    if not pattern:
        return None
    try:
        return compile_expression("osregex", pattern)
    except PatternError as error:
        refuse(f"<rules_group> is no expression: {error}", at)


def _ids(text: str) -> Iterator[int]:
    """Yield the numbers of a comma list as Wazuh reads it: up to what begins with no digit."""
    for item in text.split(","):
        word = item.strip(" ")
        digits = word[: len(word) - len(word.lstrip("0123456789"))]
        if digits:
            yield int(digits[:_MAX_DIGITS])
        elif word:
            return


def _found(expression: Expression, text: str) -> bool:
    try:
        return expression.matches(text.encode("utf-8", "surrogateescape"))
    except BudgetSpent:
        return False
