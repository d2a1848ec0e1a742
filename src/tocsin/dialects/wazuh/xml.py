r"""Read Wazuh's rule and decoder files, which look like XML and are not.

A file has any number of roots, and there are no entities: `&lt;` stays as it stands. A raw
`&` or `>` in text is text, `\<` is text with its backslash, any other `<` opens an element.
Text beside child elements is dropped. Nothing is trimmed, and nothing outside of the text is
ever read: a document type is refused, and depth, size and number of elements are bounded.
"""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from tocsin.model.errors import Fault, LoadError, Location

MAX_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 64
MAX_ELEMENTS = 50_000
MAX_ATTRIBUTES = 32
# The engine's own limit on one text, name or value.
MAX_TEXT_BYTES = 20_480
_SHOWN = 40

_TEXT = re.compile(r"[^\\<]*+(?:\\.[^\\<]*+)*+\\?", re.DOTALL)
_COMMENT_END = re.compile(r"-->|!>")
_REFUSED = re.compile(r"(DOCTYPE|ENTITY|\[CDATA\[)", re.IGNORECASE)
_CLOSE = re.compile(r"/([^>]*+)>")
_NAME = re.compile(r"(?:[^\s>/]|/(?!>))++")
_BLANKS = re.compile(r"\s*+")
_OPEN_END = re.compile(r"(/?)>")
_ATTRIBUTE = re.compile(r"""([^\s=>]++)(?:=\s*+(["']))?""")
_USUAL_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a file, with the line on which it starts."""

    name: str
    attributes: dict[str, str]
    text: str
    children: tuple["Element", ...]
    line: int


def read_xml(text: str, path: str) -> list[Element]:
    """Return the root elements of a file, variables not yet expanded.

    Raises:
        LoadError: the engine would not read this file, or it is beyond a limit.
    """
    if len(text) > MAX_BYTES:
        raise LoadError([Fault(f"file is larger than {MAX_BYTES} bytes", Location(path))])
    return _Reader(text, path).read()


@dataclass(slots=True)
class _Open:
    """An element whose end has not come yet."""

    name: str
    attributes: dict[str, str]
    line: int
    text: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    def close(self) -> Element:
        text = "" if self.children else "".join(self.text)
        return Element(self.name, self.attributes, text, tuple(self.children), self.line)


class _Reader:
    """Goes through a text once, without recursion."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self._counted = 0
        self._breaks = 0
        self._at = 0
        self._elements = 0
        self._roots: list[Element] = []
        self._open: list[_Open] = []

    def read(self) -> list[Element]:
        while True:
            self._take_text()
            if self._at == len(self._text):
                break
            self._take_tag()
        if self._open:
            self._not_closed(self._open[-1])
        return self._roots

    def _take_text(self) -> None:
        start = self._at
        self._at = _end(_TEXT, self._text, start)
        if self._open and self._at > start:
            self._open[-1].text.append(self._text[start : self._at])

    def _take_tag(self) -> None:
        start = self._at
        self._at += 1
        following = self._text[self._at : self._at + 1]
        if following == "!":
            self._comment(start)
        elif following == "/":
            self._close(start)
        else:
            self._element(start)

    def _comment(self, start: int) -> None:
        self._at += 1
        refused = _REFUSED.match(self._text, self._at)
        if refused:
            self._fail(f"<!{refused[1]} is not supported", start)
        end = _COMMENT_END.search(self._text, self._at)
        if end is None:
            self._fail("comment is not closed", start)
        self._at = end.end()

    def _close(self, start: int) -> None:
        closing = _CLOSE.match(self._text, self._at)
        if closing is None:
            self._fail("closing tag has no end", start)
        if not self._open:
            self._fail(f"</{_short(closing[1])}> closes nothing", start)
        element = self._open[-1]
        if closing[1].rstrip() != element.name:
            self._not_closed(element)
        self._open.pop()
        self._at = closing.end()
        self._add(element)

    def _element(self, start: int) -> None:
        name = _NAME.match(self._text, self._at)
        if name is None:
            self._fail("an element without a name: a raw `<` opens an element", start)
        if name[0].startswith("?"):
            self._fail("XML declarations and processing instructions are not supported", start)
        self._at = name.end()
        element = _Open(self._bounded(name[0], start), {}, self._line(start))
        alone = self._attributes(element)
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            self._fail(f"more than {MAX_ELEMENTS} elements", start)
        if alone:
            self._add(element)
            return
        if len(self._open) >= MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels", start)
        self._open.append(element)

    def _attributes(self, element: _Open) -> bool:
        """Read to the end of an opening tag; True: it closes itself."""
        while True:
            self._at = _end(_BLANKS, self._text, self._at)
            end = _OPEN_END.match(self._text, self._at)
            if end is not None:
                self._at = end.end()
                return bool(end[1])
            self._attribute(element)

    def _attribute(self, element: _Open) -> None:
        start = self._at
        found = _ATTRIBUTE.match(self._text, start)
        if found is None:
            self._not_closed(element)
        name, quote = found[1], found[2]
        if quote is None:
            self._fail(f"attribute {_short(name)!r} has no quoted value", start)
        if len(element.attributes) == MAX_ATTRIBUTES:
            self._fail(f"more than {MAX_ATTRIBUTES} attributes", start)
        if name in element.attributes:
            self._fail(f"attribute {_short(name)!r} stands twice", start)
        end = self._text.find(quote, found.end())
        if end < 0:
            self._fail(f"the value of attribute {_short(name)!r} is not closed", start)
        element.attributes[name] = self._bounded(self._text[found.end() : end], start)
        self._at = end + 1
        if not self._text.startswith((" ", "\t", "\r", "\n", "/", ">"), self._at):
            self._fail(f"attribute {_short(name)!r} is followed by neither blank nor `>`", start)

    def _add(self, element: _Open) -> None:
        done = element.close()
        if _bytes_over(done.text):
            fault = f"the text of {_short(done.name)!r} has more than {MAX_TEXT_BYTES} bytes"
            raise LoadError([Fault(fault, Location(self._path, done.line))])
        (self._open[-1].children if self._open else self._roots).append(done)

    def _bounded(self, text: str, start: int) -> str:
        if _bytes_over(text):
            self._fail(f"a name or value has more than {MAX_TEXT_BYTES} bytes", start)
        return text

    def _not_closed(self, element: _Open) -> NoReturn:
        hint = "" if _USUAL_NAME.fullmatch(element.name) else ": a raw `<` opens an element"
        fault = f"element {_short(element.name)!r} is not closed{hint}"
        raise LoadError([Fault(fault, Location(self._path, element.line))])

    def _fail(self, message: str, position: int) -> NoReturn:
        raise LoadError([Fault(message, Location(self._path, self._line(position)))])

    def _line(self, position: int) -> int:
        """Return the line of a position, none of which is before the one asked for last."""
        self._breaks += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._breaks + 1


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Return where a pattern that matches anywhere, if only nothing, ends."""
    found = pattern.match(text, start)
    return found.end() if found else start


def _bytes_over(text: str) -> bool:
    if len(text) * 4 <= MAX_TEXT_BYTES:
        return False
    return len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
