"""Find the decoder that recognises a log, and extract its fields."""

from collections.abc import Callable
from dataclasses import dataclass

from tocsin.dialects.wazuh.decoders import JSON_PLUGIN, Decoder, DecoderTree, Offset
from tocsin.dialects.wazuh.event import Decoded
from tocsin.dialects.wazuh.expressions import BudgetSpent, Found
from tocsin.dialects.wazuh.fields import Fields
from tocsin.dialects.wazuh.jsonfields import read_json_fields

# The engine's own limit on the fields of one event.
STRICT_MAX_FIELDS = 256

# Is told of each decoder that is looked at: by which element, in which text, and whether it fits.
Onlooker = Callable[[Decoder, str, bytes, bool], None]


@dataclass(frozen=True, slots=True)
class Decoders:
    """Decodes logs.

    Not strict, an event that a decoder below a JSON decoder took over keeps the fields of its
    JSON, as `Decoded.added`, and no number of fields is too large.
    """

    tree: DecoderTree
    strict: bool

    def decode(
        self, log: bytes, program_name: str | None = None, look: Onlooker | None = None
    ) -> Decoded:
        """Return what decoding makes of a log without its header.

        Raises:
            BudgetSpent: it cost too much to find the decoder.
        """
        roots = self.tree.without_program if program_name is None else self.tree.with_program
        for root in roots:
            end = _recognised(root, log, program_name)
            if look is not None:
                look(root, "prematch", log, end is not None)
            if end is not None:
                return _Decoding(log, root, end, strict=self.strict, look=look).decoded()
        return Decoded()


def _recognised(root: Decoder, log: bytes, program_name: str | None) -> int | None:
    """Return where the text after a root's prematch starts; None: it is another log."""
    if root.program_name is not None:
        name = (program_name or "").encode("utf-8", "surrogateescape")
        if not root.program_name.matches(name):
            return None
    if root.prematch is None:
        return 0
    found = root.prematch.search(log)
    return None if found is None else _after(found, 0, log)


def _after(found: Found, start: int, log: bytes) -> int:
    """Return where the text after a match starts; the match began to look at `start`."""
    end = -1 if found.end is None else found.end
    return min(start + end + 1, len(log))


class _Decoding:
    """One log on its way through a root and its children."""

    def __init__(
        self,
        log: bytes,
        root: Decoder,
        after_root: int,
        *,
        strict: bool,
        look: Onlooker | None,
    ) -> None:
        self._log = log
        self._root = root
        self._strict = strict
        self._look = look
        self._fields = Fields(STRICT_MAX_FIELDS if strict else None)
        self._after_root = after_root
        self._starts: dict[Offset, int] = {
            "log": 0,
            "after_parent": after_root,
            "after_prematch": after_root,
        }
        self._json_read = False
        self._given_up: list[str] = []

    def decoded(self) -> Decoded:
        root = self._root
        if not root.children:
            self._extract(root, root)
            return self._as(root, None)
        index = self._chosen(root.children)
        if index is None:
            return self._as(root, None)
        child = root.children[index]
        identity = root if child.prematch is None else child
        self._run(root.children[index:], identity)
        return self._as(identity, None if identity is root else child.parent)

    def _chosen(self, children: list[Decoder]) -> int | None:
        """Return the first child that takes over; one that fails takes its namesakes along."""
        index = 0
        while index < len(children):
            child = children[index]
            if child.prematch is None:
                return index
            start = self._starts[child.prematch_offset]
            found = child.prematch.search(self._log[start:])
            if self._look is not None:
                self._look(child, "prematch", self._log[start:], found is not None)
            if found is not None:
                self._starts["after_prematch"] = _after(found, start, self._log)
                return index
            while index < len(children) and children[index].chained:
                index += 1
            index += 1
        return None

    def _run(self, children: list[Decoder], identity: Decoder) -> None:
        for child in children:
            self._extract(child, identity)
            if not child.chained:
                break

    def _extract(self, decoder: Decoder, identity: Decoder) -> None:
        if decoder.plugin == JSON_PLUGIN:
            text = self._log[self._starts[decoder.plugin_offset] :]
            options = identity.json
            self._fields.defer(lambda fields: read_json_fields(text, options, fields))
            self._json_read = True
        elif decoder.regex is not None:
            self._extract_groups(decoder)

    def _extract_groups(self, decoder: Decoder) -> None:
        offset = decoder.regex_offset
        if offset == "after_regex" and offset not in self._starts:
            offset = "after_prematch"
        start = self._starts[offset]
        try:
            found = decoder.regex.search(self._log[start:]) if decoder.regex else None
        except BudgetSpent:
            # The rules go on with what there is: a log must not escape them in this way.
            self._given_up.append(decoder.name)
            return
        if self._look is not None:
            self._look(decoder, "regex", self._log[start:], found is not None)
        if found is None:
            return
        self._starts["after_regex"] = _after(found, start, self._log)
        for name, value in zip(decoder.order, found.groups, strict=False):
            self._fields.assign(name, value.decode("utf-8", "surrogateescape"))

    def _as(self, identity: Decoder, parent: str | None) -> Decoded:
        return Decoded(
            name=identity.identity,
            parent=parent,
            category=identity.category,
            fields=self._fields,
            added=self._added(),
            first_seen_by=identity.first_seen_by,
            given_up=tuple(self._given_up),
        )

    def _added(self) -> Fields | None:
        """Return the JSON fields that a child of the JSON decoder has displaced."""
        root = self._root
        if self._strict or self._json_read or root.plugin != JSON_PLUGIN:
            return None
        fields = Fields()
        start = 0 if root.plugin_offset == "log" else self._after_root
        text = self._log[start:]
        fields.defer(lambda fields: read_json_fields(text, root.json, fields))
        return fields
