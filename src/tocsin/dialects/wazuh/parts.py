"""The elements of a rule, sorted: repeated texts joined, the others kept one by one."""

from dataclasses import dataclass, field

from tocsin.dialects.wazuh.expressions import Kind
from tocsin.dialects.wazuh.faults import refuse
from tocsin.dialects.wazuh.xml import Element
from tocsin.model.errors import Location

# Fixed values and the log, by the language in which an element asks about them.
VALUES: dict[str, Kind] = {
    "program_name": "osmatch",
    "id": "osmatch",
    "system_name": "osmatch",
    "protocol": "osmatch",
    "url": "osmatch",
    "location": "osmatch",
    "srcport": "osmatch",
    "dstport": "osmatch",
    "data": "osmatch",
    "extra_data": "osmatch",
    "hostname": "osmatch",
    "status": "osmatch",
    "user": "osmatch",
    "match": "osmatch",
    "regex": "osregex",
}
ADDRESSES = ("srcip", "dstip")
# Their text is put together where they are repeated.
_JOINED = {
    *VALUES,
    "action",
    "decoded_as",
    "category",
    "group",
    "description",
    "info",
    "cve",
    "if_sid",
    "if_group",
    "if_level",
    "if_matched_sid",
    "if_matched_group",
    "if_matched_regex",
    "options",
    "time",
    "weekday",
    "compiled_rule",
    "srcgeoip",
    "dstgeoip",
}
_SEPARATE = {"field", "list", "mitre", *ADDRESSES}
_FLAGS = {
    "if_fts",
    "check_diff",
    "global_frequency",
    "same_agent",
    "not_same_agent",
    "ignore",
    "check_if_ignored",
}
_COMPARED = {
    "id": "id",
    "srcip": "srcip",
    "source_ip": "srcip",
    "dstip": "dstip",
    "srcport": "srcport",
    "src_port": "srcport",
    "dstport": "dstport",
    "dst_port": "dstport",
    "protocol": "protocol",
    "action": "action",
    "srcuser": "srcuser",
    "user": "user",
    "url": "url",
    "data": "data",
    "extra_data": "extra_data",
    "status": "status",
    "system_name": "system_name",
    "srcgeoip": "srcgeoip",
    "dstgeoip": "dstgeoip",
    "location": "location",
}


@dataclass(slots=True)
class Parts:
    """The elements of one rule.

    `texts` are joined over all elements of a name, of which `last` is the last one.
    `compared` are pairs of `same_` or `different_` and the name of a value; those of dynamic
    fields are `compared_fields`.
    """

    texts: dict[str, str] = field(default_factory=dict)
    last: dict[str, Element] = field(default_factory=dict)
    separate: dict[str, list[Element]] = field(default_factory=dict)
    compared: list[tuple[str, str]] = field(default_factory=list)
    compared_fields: list[tuple[str, str]] = field(default_factory=list)

    def of(self, name: str) -> list[Element]:
        """Return the elements that are not joined."""
        return self.separate.get(name, [])


def sort_elements(rule: Element, path: str) -> Parts:
    """Return the elements of a rule.

    Raises:
        RefusedError: there is an element that rules do not have.
    """
    parts = Parts()
    for child in rule.children:
        name = child.name.lower()
        if name in _JOINED:
            parts.texts[name] = parts.texts.get(name, "") + child.text
            parts.last[name] = child
        elif name in _SEPARATE:
            parts.separate.setdefault(name, []).append(child)
        elif name in _FLAGS:
            parts.last[name] = child
        elif not _compare(parts, name, child.text):
            refuse(f"rules have no element {child.name!r}", Location(path, child.line))
    return parts


def _compare(parts: Parts, name: str, text: str) -> bool:
    """Take a `same_*` or `different_*` element; False: it is none."""
    for prefix, sort in (
        ("not_same_", "different_"),
        ("same_", "same_"),
        ("different_", "different_"),
    ):
        subject = name.removeprefix(prefix)
        if subject == name:
            continue
        if subject == "field":
            parts.compared_fields.append((sort, text))
            return True
        if subject in _COMPARED:
            parts.compared.append((sort, _COMPARED[subject]))
            return True
    return False
