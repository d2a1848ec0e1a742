"""Load Sigma files: parse all, apply filters, convert; report every fault with its line."""

from collections.abc import Iterable, Mapping, Sequence

from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaDetection, SigmaLevel, SigmaRule

from tocsin.attack.catalog import catalog
from tocsin.dialects.loaded import Loaded
from tocsin.dialects.sigma.convert import Context, convert
from tocsin.dialects.sigma.extension import read_extension
from tocsin.dialects.yaml import Document, read_documents
from tocsin.model.alert import Severity, Technique
from tocsin.model.errors import Fault, LoadError
from tocsin.rules import ir
from tocsin.rules.template import placeholders

# What our events are to Sigma; a rule is for us if its log source says nothing else.
LOG_SOURCE = {"product": "kubernetes", "service": "audit", "category": "application"}

_SEVERITIES: dict[SigmaLevel, Severity] = {
    SigmaLevel.INFORMATIONAL: "info",
    SigmaLevel.LOW: "low",
    SigmaLevel.MEDIUM: "medium",
    SigmaLevel.HIGH: "high",
    SigmaLevel.CRITICAL: "critical",
}


def load_sigma(
    files: Iterable[tuple[str, str]], sets: Mapping[str, Sequence[str]], *, extensions: bool = True
) -> Loaded:
    """Load rules and filters from Sigma files.

    Args:
        files: pairs of the path to quote and the text of the file.
        sets: named sets of texts for `%name%` placeholders.
        extensions: whether rules may use the `tocsin:` block; where not, such a rule is
            refused rather than matched more weakly.
    """
    loaded = Loaded()
    rules: list[tuple[Document, SigmaRule]] = []
    filters: list[SigmaFilter] = []
    for path, text in files:
        for document in _documents(path, text, loaded):
            try:
                _parse(document, rules, filters, loaded)
            except LoadError as error:
                loaded.faults.extend(error.faults)
    for document, rule in rules:
        for sigma_filter in filters:
            sigma_filter.apply_on_rule(rule)
        try:
            loaded.rules.append(_rule(document, rule, sets, extensions=extensions))
        except LoadError as error:
            loaded.faults.extend(error.faults)
    return loaded


def is_sigma(value: object) -> bool:
    """Whether a YAML document looks like a Sigma rule, filter or correlation."""
    return isinstance(value, dict) and bool(value.keys() & {"detection", "filter", "correlation"})


def _documents(path: str, text: str, loaded: Loaded) -> list[Document]:
    try:
        return read_documents(text, path)
    except LoadError as error:
        loaded.faults.extend(error.faults)
        return []


def _parse(
    document: Document,
    rules: list[tuple[Document, SigmaRule]],
    filters: list[SigmaFilter],
    loaded: Loaded,
) -> None:
    value = document.value
    if not isinstance(value, dict) or not is_sigma(value):
        message = "not a Sigma rule: it has no detection, filter or correlation"
        raise LoadError([Fault(message, document.at())])
    if "correlation" in value:
        message = "correlation rules are not supported yet"
        raise LoadError([Fault(message, document.at("correlation"), "correlation")])
    if not _is_ours(value.get("logsource")):
        loaded.skipped += 1
        return
    if "filter" in value:
        sigma_filter = SigmaFilter.from_dict(value, collect_errors=True)
        _raise(document, sigma_filter.errors)
        filters.append(sigma_filter)
        return
    rule = SigmaRule.from_dict(value, collect_errors=True)
    _raise(document, rule.errors)
    rules.append((document, rule))


def _is_ours(source: object) -> bool:
    """Whether a log source is ours; a missing or malformed one is left to the parser."""
    if not isinstance(source, dict):
        return True
    return all(
        LOG_SOURCE.get(key) == value
        for key, value in source.items()
        if key in ("product", "service", "category")
    )


def _raise(document: Document, errors: list[SigmaError]) -> None:
    """Turn pySigma's errors into faults; those of single selections get their own line."""
    if errors:
        raise LoadError(_selection_faults(document) or [_fault(document, e) for e in errors])


def _selection_faults(document: Document) -> list[Fault]:
    value = document.value
    section = "detection" if isinstance(value, dict) and "detection" in value else "filter"
    detection = value.get(section) if isinstance(value, dict) else None
    faults = []
    for name, definition in detection.items() if isinstance(detection, dict) else ():
        if name in ("condition", "rules"):
            continue
        for key, part in (
            definition.items() if isinstance(definition, dict) else ((None, definition),)
        ):
            try:
                SigmaDetection.from_definition(part if key is None else {key: part})
            except SigmaError as error:
                where = (section, name) if key is None else (section, name, key)
                faults.append(Fault(str(error), document.at(*where), ".".join(where)))
    return faults


def _fault(document: Document, error: SigmaError) -> Fault:
    name = type(error).__name__.removeprefix("Sigma").removesuffix("Error").lower()
    return Fault(str(error), document.at(name), None)


def _rule(
    document: Document, rule: SigmaRule, sets: Mapping[str, Sequence[str]], *, extensions: bool
) -> ir.Rule:
    block = rule.custom_attributes.get("tocsin")
    if block is not None and not extensions:
        message = "the rule uses the tocsin: extension, which is switched off"
        raise LoadError([Fault(message, document.at("tocsin"), "tocsin")])
    extension = read_extension(document, block, frozenset(rule.detection.detections))
    context = Context(sets, extension.each, lambda name: document.at("detection", name))
    tags = tuple(str(tag) for tag in rule.tags)
    return ir.Rule(
        id=str(rule.id or rule.name or rule.title),
        title=rule.title,
        dialect="sigma",
        severity=_SEVERITIES.get(rule.level, "medium") if rule.level else "medium",
        level=str(rule.level) if rule.level else "medium",
        match=convert(rule.detection, context),
        at=document.at("title"),
        message=extension.message or rule.title,
        fields=tuple(dict.fromkeys([*rule.fields, *placeholders(extension.message or "")])),
        tags=tags,
        attack=_techniques(tags),
    )


def _techniques(tags: Iterable[str]) -> tuple[Technique, ...]:
    names = (tag.removeprefix("attack.") for tag in tags if tag.startswith("attack.t"))
    return tuple(
        catalog().technique(name.upper()) for name in names if name[1:].replace(".", "").isdigit()
    )
