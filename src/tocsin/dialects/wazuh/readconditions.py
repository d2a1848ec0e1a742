"""Read the conditions of a rule from its elements."""

import ipaddress
from dataclasses import dataclass
from typing import cast, get_args

from tocsin.dialects.wazuh import conditions as on
from tocsin.dialects.wazuh.clocks import read_days, read_times
from tocsin.dialects.wazuh.expressions import Expression, Kind, PatternError, compile_expression
from tocsin.dialects.wazuh.faults import Findings, refuse
from tocsin.dialects.wazuh.fields import STATIC
from tocsin.dialects.wazuh.parts import ADDRESSES, VALUES, Parts
from tocsin.dialects.wazuh.rules import Known
from tocsin.dialects.wazuh.xml import Element
from tocsin.model.errors import Location

# The elements that may stand in a rule once; repeated, their texts are joined.
_SINGLE = {
    *VALUES,
    "decoded_as",
    "action",
    "time",
    "weekday",
    "srcgeoip",
    "dstgeoip",
    "compiled_rule",
}
_STATIC_NAMES = {*STATIC, "user", "srcgeoip", "dstgeoip"}


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Reads the conditions of one rule."""

    rule: int
    parts: Parts
    path: str
    known: Known
    findings: Findings

    def conditions(self) -> list[on.Condition]:
        """Return all conditions.

        Raises:
            RefusedError: the engine refuses one.
        """
        found = [
            self._single(name, element)
            for name, element in self.parts.last.items()
            if name in _SINGLE
        ]
        found += [self._in_field(element) for element in self.parts.of("field")]
        found += [self._in_network(name) for name in ADDRESSES if self.parts.of(name)]
        return found + [self._in_list(element) for element in self._lists()]

    def _single(self, name: str, element: Element) -> on.Condition:
        match name:
            case "decoded_as":
                return self._decoded_as(element)
            case "match" | "regex":
                text = self.parts.texts[name]
                return on.InLog(self._expression(element, text, VALUES[name]), name)
            case "action":
                return self._action(element)
            case "time" | "weekday":
                return self._clock(name, element)
            case "srcgeoip" | "dstgeoip" | "compiled_rule":
                return self._never(name, element)
            case _:
                text = self.parts.texts[name]
                return on.InValue(name, self._expression(element, text, VALUES[name]))

    def compiled(
        self, element: Element, text: str, kind: Kind, *, negate: bool = False
    ) -> Expression:
        """Compile an expression of an element.

        Raises:
            RefusedError: the engine refuses it.
        """
        try:
            return compile_expression(kind, text, negate=negate, strict=self.known.strict)
        except PatternError as error:
            message = f"the {kind} expression of {element.name!r} is refused: {error} (5107)"
            refuse(message, self._at(element))

    def _at(self, element: Element) -> Location:
        return Location(self.path, element.line)

    def _expression(self, element: Element, text: str, kind: Kind) -> Expression:
        negate = element.attributes.get("negate", "").lower() == "yes"
        wanted = element.attributes.get("type", kind)
        if wanted in get_args(Kind):
            kind = cast("Kind", wanted)
        elif element.name.lower() in ("match", "regex", "field", *VALUES, "action"):
            message = f"type {wanted!r} is unknown in rule {self.rule}; {kind} is used (7600)"
            self.findings.warn(message, self._at(element))
        return self.compiled(element, text, kind, negate=negate)

    def _action(self, element: Element) -> on.Condition:
        text = self.parts.texts["action"]
        if "type" in element.attributes:
            return on.InValue("action", self._expression(element, text, "osmatch"))
        return on.ActionIs(text, element.attributes.get("negate", "").lower() == "yes")

    def _decoded_as(self, element: Element) -> on.Condition:
        decoder = self.parts.texts["decoded_as"]
        if decoder not in self.known.decoders:
            message = f"there is no decoder {decoder!r}"
            if self.known.strict:
                refuse(message, self._at(element))
            self.findings.warn(f"{message}: rule {self.rule} never fires", self._at(element))
        return on.DecodedAs(decoder)

    def _clock(self, name: str, element: Element) -> on.Condition:
        text = self.parts.texts[name]
        try:
            return on.AtTime(*read_times(text)) if name == "time" else on.OnDays(read_days(text))
        except ValueError as error:
            refuse(f"element {name!r}: {error}", self._at(element))

    def _never(self, name: str, element: Element) -> on.Condition:
        message = f"{name!r} is not supported: rule {self.rule} never fires"
        self.findings.warn(message, self._at(element))
        return on.Never()

    def _in_field(self, element: Element) -> on.Condition:
        name = element.attributes.get("name")
        if not name:
            refuse("a field condition needs the attribute 'name'", self._at(element))
        if name in _STATIC_NAMES:
            message = f"field {name!r} is fixed: ask with the element <{name}>"
            refuse(message, self._at(element))
        return on.InField(name, self._expression(element, element.text, "osregex"))

    def _in_network(self, name: str) -> on.Condition:
        networks: list[on.Network] = []
        excluded: list[on.Network] = []
        for element in self.parts.of(name):
            bang = element.text.startswith("!")
            network = self._network(element)
            (excluded if bang and not self.known.strict else networks).append(network)
            if bang:
                message = (
                    f"Wazuh ignores the `!` in <{name}> of rule {self.rule}; "
                    'write negate="yes" to get the same everywhere'
                )
                self.findings.warn(message, self._at(element))
        negated = self.parts.of(name)[-1].attributes.get("negate", "").lower() == "yes"
        return on.InNetwork(name, tuple(networks), tuple(excluded), negated)

    def _network(self, element: Element) -> on.Network:
        try:
            return ipaddress.ip_network(element.text.removeprefix("!").strip(), strict=False)
        except ValueError as error:
            refuse(f"no address or network: {error}", self._at(element))

    def _lists(self) -> list[Element]:
        """Return the lists that count: the original loses all of many but the last two."""
        lists = self.parts.of("list")
        kept = 2
        if len(lists) > kept:
            message = f"Wazuh looks at the last two lists of rule {self.rule} only"
            self.findings.warn(message, self._at(lists[0]))
        return lists[-kept:] if self.known.strict else lists

    def _in_list(self, element: Element) -> on.Condition:
        lookup = element.attributes.get("lookup", "match_key")
        subject = element.attributes.get("field")
        if lookup not in get_args(on.Lookup) or not subject:
            refuse(f"no such lookup in a list: {lookup!r}", self._at(element))
        value = element.attributes.get("check_value")
        inverted = lookup == "address_match_key_value"
        if inverted:
            message = f"Wazuh finds the opposite of address_match_key_value in rule {self.rule}"
            self.findings.warn(message, self._at(element))
        return on.InList(
            subject=subject,
            lookup=cast("on.Lookup", lookup),
            entries=self.known.lists[element.text],
            value=None if value is None else self.compiled(element, value, "osmatch"),
            inverted=inverted and self.known.strict,
        )
