"""Variables of a Wazuh file: `<var name="X">value</var>`, then `$X` in what follows.

They belong to one file. Once a file defines one, every `$name` in it has to be known;
`$(field)` is never a variable.
"""

import re
from dataclasses import dataclass, field, replace

from tocsin.dialects.wazuh.xml import MAX_TEXT_BYTES, Element
from tocsin.model.errors import Fault, LoadError, Location

# Every use may repeat a value of the maximal length: this bounds what a file grows to.
MAX_GROWN_BYTES = 2 * 1024 * 1024

_USE = re.compile(r"\$(?!\()([^$.|, ]++)")


def expand_variables(roots: list[Element], path: str) -> list[Element]:
    """Return the elements of a file with its variables filled in and without their definitions.

    Raises:
        LoadError: a definition is malformed, or a variable is unknown or grows too large.
    """
    if not any(_defines(root) for root in roots):
        return roots
    expansion = _Expansion(path)
    expanded = expansion.elements(tuple(roots))
    if expansion.faults:
        raise LoadError(expansion.faults)
    return list(expanded)


def _is_definition(element: Element) -> bool:
    return element.name.lower() == "var"


def _defines(element: Element) -> bool:
    return _is_definition(element) or any(_defines(child) for child in element.children)


@dataclass(slots=True)
class _Expansion:
    """Goes through a file in its order, so that a use sees only earlier definitions."""

    path: str
    values: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    grown: int = 0

    def elements(self, elements: tuple[Element, ...]) -> tuple[Element, ...]:
        kept: list[Element] = []
        for element in elements:
            if _is_definition(element):
                self._define(element)
            else:
                kept.append(self._element(element))
        return tuple(kept)

    def _define(self, element: Element) -> None:
        if list(element.attributes) != ["name"] or not element.attributes["name"]:
            self._fault("a variable has one attribute, `name`, and no other", element)
            return
        self.values[element.attributes["name"].lower()] = element.text

    def _element(self, element: Element) -> Element:
        attributes = {
            name: self._filled(value, element) for name, value in element.attributes.items()
        }
        text = self._filled(element.text, element)
        return replace(
            element,
            attributes=attributes,
            text=text,
            children=self.elements(element.children),
        )

    def _filled(self, text: str, element: Element) -> str:
        if "$" not in text:
            return text
        # Uses are counted before they are filled in: the product may not fit into memory.
        length = len(text) + sum(len(self._value(use, element)) for use in _USE.findall(text))
        self.grown += length
        if length > MAX_TEXT_BYTES or self.grown > MAX_GROWN_BYTES:
            fault = Fault("variables make this file too large", Location(self.path, element.line))
            raise LoadError([*self.faults, fault])
        return _USE.sub(lambda use: self.values.get(use[1].lower(), ""), text)

    def _value(self, name: str, element: Element) -> str:
        value = self.values.get(name.lower())
        if value is None:
            self._fault(f"variable ${name} is not defined above its use", element)
            return ""
        return value

    def _fault(self, message: str, element: Element) -> None:
        self.faults.append(Fault(message, Location(self.path, element.line)))
