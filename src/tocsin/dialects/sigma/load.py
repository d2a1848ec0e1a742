"""Load Sigma files: parse all, apply filters, convert; report every fault with its line."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaDetection, SigmaLevel, SigmaRule
from sigma.rule.detection import EmptySigmaDetections

from tocsin.attack.catalog import catalog
from tocsin.dialects.loaded import Loaded
from tocsin.dialects.sigma.convert import Context, convert
from tocsin.dialects.sigma.correlation import Source, resolve, silenced
from tocsin.dialects.sigma.extension import Extension, read_extension
from tocsin.dialects.yaml import Document, read_documents
from tocsin.model.alert import Severity, Technique
from tocsin.model.errors import Fault, LoadError
from tocsin.rules import ir
from tocsin.rules.paths import PathError, split
from tocsin.rules.template import placeholders

# What our events are to Sigma; a rule is for us if its log source says nothing else.
LOG_SOURCE = {"product": "kubernetes", "service": "audit", "category": "application"}

# Where pySigma's errors are about another key than their name says.
_KEYS = {"condition": "detection", "identifier": "id", "tag": "tags", "value": "tags"}

Parsed = TypeVar("Parsed", SigmaRule, SigmaFilter, SigmaCorrelationRule)

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
    found = _Found()
    for path, text in files:
        for document in _documents(path, text, loaded):
            try:
                _take(document, sets, found, loaded, extensions=extensions)
            except LoadError as error:
                loaded.faults.extend(error.faults)
    ids = {name: source.id for source in found.correlations for name in _names(source.parsed)}
    for document, rule in found.rules:
        if not rule.errors:
            for sigma_filter in found.filters:
                sigma_filter.apply_on_rule(rule)
        try:
            ready = _rule(document, rule, sets, extensions=extensions)
        except LoadError as error:
            loaded.faults.extend(error.faults)
        else:
            loaded.rules.append(ready)
            ids.update(dict.fromkeys(_names(rule), ready.id))
    loaded.correlations, faults = resolve(found.correlations, ids, _head)
    loaded.faults.extend(faults)
    loaded.rules = silenced(loaded.rules, found.correlations, ids)
    return loaded


@dataclass(slots=True)
class _Found:
    """What the files hold for us, as it was read."""

    rules: list[tuple[Document, SigmaRule]] = field(default_factory=list)
    filters: list[SigmaFilter] = field(default_factory=list)
    correlations: list[Source] = field(default_factory=list)


def _take(
    document: Document,
    sets: Mapping[str, Sequence[str]],
    found: _Found,
    loaded: Loaded,
    *,
    extensions: bool,
) -> None:
    """Add a document to what was found.

    Raises:
        LoadError: with what is wrong with it.
    """
    if not _is_for_us(document):
        loaded.skipped += 1
    elif _is_correlation(document.value):
        found.correlations.append(_source(document, extensions=extensions))
    elif _is_filter(document.value):
        found.filters.append(_filter(document, sets))
    else:
        found.rules.append((document, _parsed(document, SigmaRule)))


def is_sigma(value: object) -> bool:
    """Whether a YAML document looks like a Sigma rule, filter or correlation."""
    return isinstance(value, dict) and bool(value.keys() & {"detection", "filter", "correlation"})


def _documents(path: str, text: str, loaded: Loaded) -> list[Document]:
    try:
        return read_documents(text, path)
    except LoadError as error:
        loaded.faults.extend(error.faults)
        return []


def _is_for_us(document: Document) -> bool:
    """Whether a document is about audit events.

    Raises:
        LoadError: the document is no rule or filter.
    """
    value = document.value
    if not isinstance(value, dict) or not is_sigma(value):
        message = "not a Sigma rule: it has no detection, filter or correlation"
        raise LoadError([Fault(message, document.at())])
    if _is_correlation(value):
        # It has no log source: it is for whom its rules are for.
        return True
    return _is_ours(value.get("logsource"))


def _is_filter(value: object) -> bool:
    return isinstance(value, dict) and "filter" in value


def _is_correlation(value: object) -> bool:
    return isinstance(value, dict) and "correlation" in value


def _names(rule: SigmaRule | SigmaCorrelationRule) -> list[str]:
    """Return what other rules may call a rule."""
    return [str(name) for name in (rule.name, rule.id) if name]


def _source(document: Document, *, extensions: bool) -> Source:
    """Return a correlation as it was read.

    Raises:
        LoadError: with everything that is wrong with it.
    """
    parsed = _parsed(document, SigmaCorrelationRule)
    faults = _faults(document, parsed.errors)
    faults.extend(_path_faults(document, _list(parsed.fields), "fields"))
    block = _block(document, parsed, extensions=extensions)
    extension = read_extension(document, block, frozenset())
    if extension.each or extension.first_seen:
        message = "each and first_seen are about the events of one rule: write them there"
        faults.append(Fault(message, document.at("tocsin"), "tocsin"))
    if faults:
        raise LoadError(faults)
    return Source(document, parsed, extension)


def _head(source: Source) -> dict[str, object]:
    """Return what a correlation has like any rule."""
    parsed, extension = source.parsed, source.extension
    tags = tuple(str(tag) for tag in parsed.tags)
    return {
        "id": source.id,
        "title": parsed.title,
        "dialect": "sigma",
        "severity": _severity(parsed.level),
        "level": str(parsed.level) if parsed.level else "medium",
        "at": source.document.at("title"),
        "message": extension.message or parsed.title,
        "tags": tags,
        "attack": _techniques(tags),
        "grade": extension.grade,
        "catalogue": extension.catalogue,
        "needs": extension.needs,
        "suppress": extension.to_suppress(),
    }


def _severity(level: SigmaLevel | None) -> Severity:
    return _SEVERITIES.get(level, "medium") if level else "medium"


def _parsed(document: Document, kind: type[Parsed]) -> Parsed:
    """Return what pySigma makes of a document, with the errors that it found."""
    try:
        return kind.from_dict(cast("dict[str, object]", document.value), collect_errors=True)
    except Exception as error:  # values of wrong types make pySigma fail in its own ways
        faults = _selection_faults(document) or [_fault(document, error)]
        raise LoadError(faults) from error


def _filter(document: Document, sets: Mapping[str, Sequence[str]]) -> SigmaFilter:
    """Return a filter that works by itself, so that no rule fails because of it."""
    sigma_filter = _parsed(document, SigmaFilter)
    if sigma_filter.errors:
        raise LoadError(_faults(document, sigma_filter.errors))
    context = Context(sets, {}, lambda name: document.at("filter", name))
    convert(deepcopy(sigma_filter.filter), context)
    return sigma_filter


def _is_ours(source: object) -> bool:
    """Whether a log source is ours; a missing or malformed one is left to the parser."""
    if not isinstance(source, dict):
        return True
    return all(
        LOG_SOURCE.get(key) == value
        for key, value in source.items()
        if key in ("product", "service", "category") and isinstance(value, str)
    )


def _faults(document: Document, errors: Sequence[SigmaError]) -> list[Fault]:
    """Turn pySigma's errors into faults; those of single selections get their own line."""
    faults = _selection_faults(document)
    # The last error is then the first of these.
    rest = errors[:-1] if faults else errors
    return faults + [_fault(document, error) for error in rest]


def _selection_faults(document: Document) -> list[Fault]:
    section = "filter" if _is_filter(document.value) else "detection"
    faults = []
    for name, definition in _sections(document).items():
        if name in ("condition", "rules"):
            continue
        for key, part in (
            definition.items() if isinstance(definition, dict) else ((None, definition),)
        ):
            try:
                SigmaDetection.from_definition(part if key is None else {key: part})
            except Exception as error:  # noqa: BLE001 - as in _parsed
                where = (section, name) if key is None else (section, name, key)
                faults.append(Fault(_sentence(error), document.at(*where), ".".join(where)))
    return faults


def _sections(document: Document) -> dict[str, Any]:
    """Return what stands below `detection` or `filter`, if that is a mapping at all."""
    value = cast("dict[str, object]", document.value)
    found = value.get("filter" if _is_filter(value) else "detection")
    return found if isinstance(found, dict) else {}


def _fault(document: Document, error: Exception) -> Fault:
    name = type(error).__name__.removeprefix("Sigma").removesuffix("Error").lower()
    return Fault(_sentence(error), document.at(_KEYS.get(name, name)), None)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, SigmaError) else f"a value has a wrong type: {error}"


def _rule(
    document: Document, rule: SigmaRule, sets: Mapping[str, Sequence[str]], *, extensions: bool
) -> ir.Rule:
    faults = _faults(document, rule.errors) if rule.errors else []
    try:
        extension = _extension(document, rule, extensions=extensions)
    except LoadError as error:
        faults.extend(error.faults)
        extension = Extension()
    faults.extend(_path_faults(document, _list(rule.fields), "fields"))
    message = extension.message or rule.title
    faults.extend(_path_faults(document, placeholders(extension.message or ""), "tocsin"))
    match: ir.Expr = ir.AnyOf(())
    try:
        if not isinstance(rule.detection, EmptySigmaDetections):
            each = {name: path.replace("[]", "") for name, path in extension.each.items()}
            context = Context(sets, each, lambda name: document.at("detection", name))
            match = convert(rule.detection, context)
    except LoadError as error:
        faults.extend(error.faults)
    if faults:
        raise LoadError(faults)
    tags = tuple(str(tag) for tag in rule.tags)
    return ir.Rule(
        id=str(rule.id or rule.name or rule.title),
        title=rule.title,
        dialect="sigma",
        severity=_severity(rule.level),
        level=str(rule.level) if rule.level else "medium",
        match=match,
        at=document.at("title"),
        message=message,
        fields=tuple(dict.fromkeys([*rule.fields, *placeholders(extension.message or "")])),
        tags=tags,
        attack=_techniques(tags),
        grade=extension.grade,
        catalogue=extension.catalogue,
        needs=extension.needs,
        first_seen=extension.to_first_seen(),
        suppress=extension.to_suppress(),
    )


def _extension(document: Document, rule: SigmaRule, *, extensions: bool) -> Extension:
    block = _block(document, rule, extensions=extensions)
    selections = frozenset(rule.detection.detections)
    if isinstance(rule.detection, EmptySigmaDetections):
        selections = frozenset(_sections(document))
    return read_extension(document, block, selections)


def _block(
    document: Document, rule: SigmaRule | SigmaCorrelationRule, *, extensions: bool
) -> object:
    """Return the `tocsin:` block of a rule.

    Raises:
        LoadError: there is one, and it is switched off.
    """
    block = rule.custom_attributes.get("tocsin")
    if block is not None and not extensions:
        message = "the rule uses the tocsin: extension, which is switched off"
        raise LoadError([Fault(message, document.at("tocsin"), "tocsin")])
    return block


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _path_faults(document: Document, paths: Iterable[object], key: str) -> list[Fault]:
    """Return what is wrong with the field paths that an alert is to show."""
    faults = []
    for path in paths:
        try:
            split(path if isinstance(path, str) else "")
        except PathError as error:
            faults.append(Fault(str(error), document.at(key), key))
    return faults


def _techniques(tags: Iterable[str]) -> tuple[Technique, ...]:
    names = (tag.removeprefix("attack.") for tag in tags if tag.startswith("attack.t"))
    return tuple(
        catalog().technique(name.upper()) for name in names if name[1:].replace(".", "").isdigit()
    )
