"""Read `<decoder>` elements, and put those with a parent below it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args

from tocsin.dialects.wazuh.expressions import Expression, Kind, PatternError, compile_expression
from tocsin.dialects.wazuh.faults import Findings, RefusedError, refuse
from tocsin.dialects.wazuh.jsonfields import JsonOptions
from tocsin.dialects.wazuh.variables import expand_variables
from tocsin.dialects.wazuh.xml import Element, read_xml
from tocsin.model.errors import LoadError, Location

Offset: TypeAlias = Literal["log", "after_parent", "after_prematch", "after_regex"]

JSON_PLUGIN = "JSON_Decoder"
PLUGINS = ("PF_Decoder", "SymantecWS_Decoder", "SonicWall_Decoder", "OSSECAlert_Decoder")
CATEGORIES = (
    "syslog",
    "firewall",
    "ids",
    "web-log",
    "squid",
    "windows",
    "host-information",
    "ossec",
)
_EXPRESSIONS: dict[str, Kind] = {
    "program_name": "osmatch",
    "prematch": "osregex",
    "regex": "osregex",
}
_TEXTS = (
    *_EXPRESSIONS,
    "parent",
    "order",
    "type",
    "plugin_decoder",
    "use_own_name",
    "accumulate",
    "fts",
    "ftscomment",
    "json_null_field",
    "json_array_structure",
)


@dataclass(slots=True)
class Decoder:
    """One decoder. `identity` is the name that events get from it.

    `chained` says that a later sibling has the same name, so that decoding goes on with it.
    """

    name: str
    at: Location
    parent: str | None = None
    program_name: Expression | None = None
    prematch: Expression | None = None
    prematch_offset: Offset = "log"
    regex: Expression | None = None
    regex_offset: Offset = "log"
    order: tuple[str, ...] = ()
    plugin: str | None = None
    plugin_offset: Offset = "log"
    category: str = "syslog"
    json: JsonOptions = field(default_factory=JsonOptions)
    own_name: bool = False
    accumulates: bool = False
    first_seen_by: tuple[str, ...] = ()
    identity: str = ""
    chained: bool = False
    children: list["Decoder"] = field(default_factory=list)


@dataclass(slots=True)
class DecoderTree:
    """All decoders: roots that ask for a program name, and those that do not."""

    with_program: list[Decoder] = field(default_factory=list)
    without_program: list[Decoder] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


def load_decoders(files: Iterable[tuple[str, str]], findings: Findings) -> DecoderTree:
    """Build the tree from pairs of path and text, already in the order of loading."""
    tree = DecoderTree()
    for path, text in files:
        try:
            roots = expand_variables(read_xml(text, path), path)
        except LoadError as error:
            findings.faults.extend(error.faults)
            continue
        for element in roots:
            try:
                _add(tree, _Reader(element, path, findings).decoder())
            except RefusedError as error:
                findings.faults.append(error.fault)
    return tree


def _add(tree: DecoderTree, decoder: Decoder) -> None:
    tree.names.add(decoder.name)
    if decoder.parent is None:
        decoder.identity = decoder.name
        roots = tree.without_program if decoder.program_name is None else tree.with_program
        roots.append(decoder)
        return
    parents = [
        root for root in (*tree.with_program, *tree.without_program) if root.name == decoder.parent
    ]
    if not parents:
        refuse(f"there is no decoder {decoder.parent!r} above this one", decoder.at)
    decoder.identity = decoder.name if decoder.own_name else parents[0].identity
    for root in parents:
        for sibling in root.children:
            sibling.chained = sibling.chained or sibling.name == decoder.name
        root.children.append(decoder)


class _Reader:
    """Reads one decoder."""

    def __init__(self, element: Element, path: str, findings: Findings) -> None:
        self._element = element
        self._at = Location(path, element.line)
        self._findings = findings
        self._texts: dict[str, str] = {}
        self._last: dict[str, Element] = {}
        self._first: dict[str, Element] = {}

    def decoder(self) -> Decoder:
        """Return the decoder, not yet in its place."""
        name = self._name()
        self._sort_elements()
        decoder = Decoder(
            name=name,
            at=self._at,
            parent=self._texts.get("parent"),
            program_name=self._expression("program_name"),
            prematch=self._expression("prematch"),
            prematch_offset=self._offset("prematch", ("after_parent",)),
            regex=self._expression("regex"),
            regex_offset=self._offset("regex", ("after_parent", "after_prematch", "after_regex")),
            order=_words(self._texts.get("order", "")),
            plugin=self._plugin(),
            plugin_offset=self._offset("plugin_decoder", ("after_parent", "after_prematch")),
            category=self._category(),
            json=self._json_options(),
            own_name=self._texts.get("use_own_name") == "true",
            accumulates="accumulate" in self._texts,
            first_seen_by=_words(self._texts.get("fts", "")),
        )
        self._check(decoder)
        return decoder

    def _name(self) -> str:
        if self._element.name.lower() != "decoder":
            refuse(f"a file of decoders has no <{self._element.name}>", self._at)
        attributes = list(self._element.attributes)
        if attributes[:1] != ["name"] or attributes[1:] not in ([], ["status"]):
            refuse("a decoder has the attribute 'name', and 'status' after it", self._at)
        return self._element.attributes["name"]

    def _sort_elements(self) -> None:
        for child in self._element.children:
            name = child.name.lower()
            if name not in _TEXTS:
                refuse(f"decoders have no element {child.name!r}", self._line(child))
            if name in ("prematch", "regex"):
                self._texts[name] = self._texts.get(name, "") + child.text
            else:
                self._texts[name] = child.text
            self._first.setdefault(name, child)
            self._last[name] = child

    def _line(self, element: Element) -> Location:
        return Location(self._at.path, element.line)

    def _expression(self, name: str) -> Expression | None:
        element = self._last.get(name)
        if element is None:
            return None
        kind = _EXPRESSIONS[name]
        wanted = element.attributes.get("type", kind)
        if wanted == "osmatch" and kind == "osregex":
            message = f"{name!r} cannot be osmatch; osregex is used"
            self._findings.warn(message, self._line(element))
        elif wanted in get_args(Kind):
            kind = cast("Kind", wanted)
        else:
            message = f"type {wanted!r} is unknown; {kind} is used"
            self._findings.warn(message, self._line(element))
        try:
            return compile_expression(kind, self._texts[name])
        except PatternError as error:
            refuse(f"the {kind} expression is refused: {error}", self._line(element))

    def _offset(self, name: str, allowed: tuple[Offset, ...]) -> Offset:
        element = self._first.get(name)
        offset = element.attributes.get("offset") if element else None
        if offset is None:
            return "log"
        if offset not in allowed:
            refuse(f"{name!r} has no offset {offset!r}", self._at)
        if name == "regex" and offset == "after_prematch" and "parent" not in self._texts:
            return "after_parent"
        return offset

    def _plugin(self) -> str | None:
        plugin = self._texts.get("plugin_decoder")
        if plugin is not None and plugin not in (JSON_PLUGIN, *PLUGINS):
            refuse(f"there is no plug-in {plugin!r}", self._at)
        return plugin

    def _category(self) -> str:
        category = self._texts.get("type", "syslog")
        if category not in CATEGORIES:
            refuse(f"there is no type {category!r}", self._at)
        return category

    def _json_options(self) -> JsonOptions:
        null = self._texts.get("json_null_field", "string")
        array = self._texts.get("json_array_structure", "array")
        if null not in ("string", "discard"):
            number = 7603 if null == "empty" else 7602
            self._findings.warn(f"json_null_field {null!r} has no effect ({number})", self._at)
        if array not in ("array", "csv"):
            self._findings.warn(f"json_array_structure {array!r} has no effect (7602)", self._at)
        return JsonOptions(
            null="discard" if null == "discard" else "string",
            array="csv" if array == "csv" else "array",
        )

    def _check(self, decoder: Decoder) -> None:
        """Refuse what the engine refuses to combine."""
        offsets = (decoder.prematch_offset, decoder.regex_offset, decoder.plugin_offset)
        if decoder.parent is None and decoder.prematch is None and decoder.program_name is None:
            refuse("a decoder without a parent needs a prematch or a program_name", self._at)
        if (decoder.regex is None) is not (not decoder.order):
            refuse("a regex needs an order, and an order a regex", self._at)
        if decoder.plugin and decoder.regex:
            refuse("a decoder has a plug-in or a regex", self._at)
        if decoder.prematch is None and "after_prematch" in offsets:
            refuse("offset after_prematch needs a prematch", self._at)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)
