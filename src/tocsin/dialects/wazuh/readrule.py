"""Read `<rule>` elements."""

from tocsin.dialects.wazuh.conditions import AtLeastAsLong, Condition
from tocsin.dialects.wazuh.correlate import Correlation
from tocsin.dialects.wazuh.expressions import Expression, Kind
from tocsin.dialects.wazuh.faults import Findings, refuse
from tocsin.dialects.wazuh.parts import Parts, sort_elements
from tocsin.dialects.wazuh.readconditions import ConditionReader
from tocsin.dialects.wazuh.rules import Known, Placement, Rule
from tocsin.dialects.wazuh.xml import Element
from tocsin.model.errors import Location

MAX_LEVEL = 16
MAX_ID_DIGITS = 6
DEFAULT_TIMEFRAME = 360
FREQUENCIES = range(2, 10_000)
OPTIONS = (
    "alert_by_email",
    "no_email_alert",
    "log_alert",
    "no_log",
    "no_ar",
    "no_full_log",
    "no_counter",
)
# Elements for lists of what was seen, which Wazuh keeps in files.
UNSUPPORTED = ("ignore", "check_if_ignored")

_MATCHED = {"if_matched_sid", "if_matched_group", "if_matched_regex"}
_ATTRIBUTES = (
    "id",
    "level",
    "maxsize",
    "frequency",
    "timeframe",
    "ignore",
    "noalert",
    "overwrite",
    "accuracy",
)


def read_rule(
    element: Element, path: str, group: str, known: Known, findings: Findings
) -> Rule | None:
    """Return the rule of an element; None, with a warning, if the engine ignores it.

    Raises:
        RefusedError: the engine refuses the rule.
    """
    return _Reader(element, path, known, findings).rule(group)


class _Reader:
    """Reads one rule."""

    def __init__(self, element: Element, path: str, known: Known, findings: Findings) -> None:
        self._element = element
        self._path = path
        self._known = known
        self._findings = findings
        self._at = Location(path, element.line)
        self._id = 0
        self._parts = Parts()

    def rule(self, group: str) -> Rule | None:
        """Return the rule; None if it looks up a list that is not there."""
        self._check_attributes()
        self._id = self._number("id", range(10**MAX_ID_DIGITS))
        self._parts = sort_elements(self._element, self._path)
        self._warn_of_unsupported()
        missing = self._missing_list()
        if missing is not None:
            message = f"rule {self._id} is ignored: there is no list {missing!r} (7616)"
            self._findings.warn(message, self._at)
            return None
        texts = self._parts.texts
        conditions = ConditionReader(self._id, self._parts, self._path, self._known, self._findings)
        return Rule(
            id=self._id,
            level=self._number("level", range(MAX_LEVEL + 1)),
            at=self._at,
            description=self._description(),
            groups=group + texts.get("group", "").replace("\n", ""),
            placement=self._placement(),
            conditions=tuple(self._conditions(conditions)),
            correlation=self._correlation(conditions),
            first_time="if_fts" in self._parts.last,
            on_change="check_diff" in self._parts.last,
            silent=self._number("noalert", range(2), 0) == 1,
            last=self._element.attributes.get("accuracy") == "0",
            ignore=self._number("ignore", range(10**MAX_ID_DIGITS), 0),
            options=self._options(),
            techniques=self._techniques(),
            info=texts.get("info", ""),
            cve=texts.get("cve", ""),
            overwrites=self._element.attributes.get("overwrite", "").lower() == "yes",
        )

    def _warn_of_unsupported(self) -> None:
        for name in UNSUPPORTED:
            if name in self._parts.last:
                message = f"element {name!r} is not supported: it has no effect on rule {self._id}"
                self._findings.warn(message, Location(self._path, self._parts.last[name].line))

    def _check_attributes(self) -> None:
        for name in self._element.attributes:
            if name not in _ATTRIBUTES:
                refuse(f"rules have no attribute {name!r}", self._at)
        if not self._element.children:
            refuse("a rule without elements", self._at)

    def _number(self, name: str, allowed: range, default: int | None = None) -> int:
        text = self._element.attributes.get(name)
        if text is None:
            if default is None:
                refuse(f"a rule needs the attribute {name!r}", self._at)
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS):
            refuse(f"attribute {name!r} is no number of up to 6 digits: {text!r}", self._at)
        if int(text) not in allowed:
            limits = f"{allowed.start} to {allowed.stop - 1}"
            refuse(f"attribute {name!r} is {text}, but it must be {limits}", self._at)
        return int(text)

    def _description(self) -> str:
        if "description" not in self._parts.texts:
            refuse(f"rule {self._id} has no description", self._at)
        return self._parts.texts["description"].replace("\n", " ", 1)

    def _options(self) -> frozenset[str]:
        words = self._parts.texts.get("options", "").replace(",", " ").split()
        for word in words:
            if word not in OPTIONS:
                refuse(f"rules have no option {word!r}", self._at)
        return frozenset(words)

    def _placement(self) -> Placement:
        texts = self._parts.texts
        words = texts.get("if_sid", "").replace(",", " ").split()
        if "if_sid" in texts and (not words or not all(map(_is_number, words))):
            refuse(f"if_sid is no list of rules: {texts['if_sid']!r}", self._at)
        level = texts.get("if_level")
        if level is not None and not _is_number(level):
            refuse(f"if_level is no number: {level!r}", self._at)
        group = texts.get("if_group")
        if not words and group is None:
            words, group = self._matched_parents()
        return Placement(
            sids=tuple(map(int, words)),
            level=None if level is None else int(level),
            group=group,
            category=texts.get("category", "syslog"),
        )

    def _matched_parents(self) -> tuple[list[str], str | None]:
        """Return the parents that a correlation implies."""
        texts = self._parts.texts
        if "if_matched_sid" in texts:
            return [str(self._matched_sid())], None
        return [], texts.get("if_matched_group")

    def _matched_sid(self) -> int:
        text = self._parts.texts["if_matched_sid"]
        if not _is_number(text):
            refuse(f"if_matched_sid is no rule: {text!r}", self._at)
        return int(text)

    def _conditions(self, reader: ConditionReader) -> list[Condition]:
        conditions = reader.conditions()
        if "maxsize" in self._element.attributes:
            conditions.insert(0, AtLeastAsLong(self._number("maxsize", range(10**MAX_ID_DIGITS))))
        return conditions

    def _missing_list(self) -> str | None:
        names = (element.text for element in self._parts.of("list"))
        return next((name for name in names if name not in self._known.lists), None)

    def _correlation(self, reader: ConditionReader) -> Correlation | None:
        parts = self._parts
        frequency = self._number("frequency", FREQUENCIES, 0)
        timeframe = self._number("timeframe", range(10**MAX_ID_DIGITS), DEFAULT_TIMEFRAME)
        if not parts.texts.keys() & _MATCHED:
            if frequency or parts.compared or parts.compared_fields:
                refuse(f"rule {self._id} counts events, but has no if_matched_*", self._at)
            return None
        return Correlation(
            frequency=frequency or FREQUENCIES.start,
            timeframe=timeframe,
            sid=self._matched_sid() if "if_matched_sid" in parts.texts else None,
            group=self._optional(reader, "if_matched_group", "osmatch"),
            regex=self._optional(reader, "if_matched_regex", "osregex"),
            same=_names(parts.compared, "same_"),
            different=_names(parts.compared, "different_"),
            same_fields=_names(parts.compared_fields, "same_"),
            different_fields=_names(parts.compared_fields, "different_"),
        )

    def _optional(self, reader: ConditionReader, name: str, kind: Kind) -> Expression | None:
        element = self._parts.last.get(name)
        if element is None:
            return None
        return reader.compiled(element, self._parts.texts[name], kind)

    def _techniques(self) -> tuple[str, ...]:
        """Return the ids of techniques; pairs of tactic and technique displace lone ids."""
        lone: list[str] = []
        paired: list[str] = []
        for block in self._parts.of("mitre"):
            if not block.children:
                message = f"empty mitre block in rule {self._id}"
                self._findings.warn(message, Location(self._path, block.line))
            for child in block.children:
                if child.name.lower() == "id":
                    lone.append(child.text)
                elif child.name.lower() == "techniqueid":
                    paired.append(child.text)
        return tuple(dict.fromkeys(paired or lone))


def _names(compared: list[tuple[str, str]], sort: str) -> tuple[str, ...]:
    return tuple(name for found, name in compared if found == sort)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
