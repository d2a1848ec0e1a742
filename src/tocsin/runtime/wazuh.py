"""Read the files of a Wazuh installation: decoders, rules, lists and ossec.conf.

A folder is laid out like `/var/ossec/etc` (`decoders/`, `rules/`, `lists/`, `ossec.conf`), or
holds the XML files side by side. What a file outside of these folders is, its content tells.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tocsin.dialects.wazuh.evaluate import Thresholds
from tocsin.dialects.wazuh.install import Files, Installation, install
from tocsin.dialects.wazuh.responses import Responses, read_responses
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.xml import MAX_BYTES, Element, read_xml
from tocsin.model.digest import digest
from tocsin.model.errors import Fault, LoadError, Location
from tocsin.runtime.wazuhfiles import WazuhFiles

LISTS_FOLDER = "lists"
MAX_LIST_BYTES = 64 * 1024 * 1024
_KINDS = {"decoder": "decoder", "group": "rule"}


@dataclass(frozen=True, slots=True)
class Wazuh:
    """An installation with the thresholds and responses of its configuration.

    `files` is where it was loaded from; `version` changes with the content of these files.
    """

    installation: Installation
    thresholds: Thresholds
    files: WazuhFiles
    version: str
    responses: Responses = field(default_factory=Responses)

    @property
    def count(self) -> int:
        """How many rules there are, without those that only lead to others."""
        return sum(1 for _ in self.rules())

    def rules(self) -> Iterator[Rule]:
        """Yield the rules, without those that only lead to others."""
        return (rule for rule in self.installation.tree.rules() if not rule.silent)


@dataclass(slots=True)
class _Settings:
    """What is read from ossec.conf."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    excluded: dict[str, set[str]] = field(default_factory=dict)
    responses: Responses = field(default_factory=Responses)


@dataclass(slots=True)
class _Texts:
    """The texts of all files, by what they are."""

    settings: _Settings
    xml: dict[str, dict[str, str]] = field(default_factory=lambda: {"decoder": {}, "rule": {}})
    lists: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, path: Path, text: str) -> None:
        """Add a file of decoders or rules, unless ossec.conf excludes it."""
        if kind in self.xml and not _is_excluded(path, self.settings.excluded.get(kind, set())):
            self.xml[kind][str(path)] = text


def load_wazuh(folder: Path, *, strict: bool) -> Wazuh:
    """Load the files of a folder, as `load_wazuh_files` does."""
    return load_wazuh_files(WazuhFiles(folder=str(folder), strict=strict))


def load_wazuh_files(files: WazuhFiles) -> Wazuh:
    """Load an installation.

    Raises:
        LoadError: something is wrong in the files, or not there; all that is.
    """
    texts = _Texts(_settings(files.config_path, named=bool(files.config)))
    if files.folder:
        _add_folder(texts, Path(files.folder))
    for kind, places in (("decoder", files.decoders), ("rule", files.rules)):
        for place in map(Path, places):
            for path in _found(place, "*.xml"):
                texts.add(kind, path, _text(path, MAX_BYTES))
    for place in map(Path, files.lists):
        texts.lists.update(_lists(place))
    if not texts.xml["rule"]:
        where = str(files.paths[0]) if files.paths else "wazuh"
        message = "there are no Wazuh rules: no .xml file with a <group>"
        raise LoadError([Fault(message, Location(where))])
    decoders, rules = (tuple(texts.xml[kind].items()) for kind in ("decoder", "rule"))
    installation = install(Files(decoders, rules, texts.lists), strict=files.strict)
    thresholds, responses = texts.settings.thresholds, texts.settings.responses
    version = digest(*_flat((*decoders, *rules, *texts.lists.items())), repr(thresholds))
    return Wazuh(installation, thresholds, files, version, responses)


def _flat(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in pairs:
        yield name
        yield text.encode("utf-8", "surrogateescape").decode("latin-1")


def _add_folder(texts: _Texts, folder: Path) -> None:
    if not folder.is_dir():
        raise LoadError([Fault("is no folder", Location(str(folder)))])
    for path in _visible(folder, "*.xml"):
        text = _text(path, MAX_BYTES)
        texts.add(_kind(path, folder, text), path, text)
    lists = folder / LISTS_FOLDER
    if lists.is_dir():
        texts.lists.update(_lists(lists))


def _found(place: Path, pattern: str) -> list[Path]:
    """Return a file, or the files of a folder.

    Raises:
        LoadError: there is nothing.
    """
    if place.is_dir():
        return [path for path in _visible(place, pattern) if path.is_file()]
    if not place.is_file():
        raise LoadError([Fault("no such file or folder", Location(str(place)))])
    return [place]


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Return what is not hidden: that is what editors leave, and versions of a ConfigMap."""
    return sorted(
        path
        for path in folder.rglob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _text(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        fault = Fault(f"cannot read this file: {error.strerror}", Location(str(path)))
        raise LoadError([fault]) from error
    if len(data) > limit:
        raise LoadError([Fault(f"file is larger than {limit} bytes", Location(str(path)))])
    return data.decode("utf-8", "surrogateescape")


def _kind(path: Path, folder: Path, text: str) -> str:
    """Return `decoder` or `rule`; nothing for a file that is neither."""
    for name in path.relative_to(folder).parts[:-1]:
        if name in ("decoders", "rules"):
            return name.removesuffix("s")
    roots = (element.name.lower() for element in read_xml(text, str(path)))
    return next((_KINDS[name] for name in roots if name in _KINDS), "")


def _is_excluded(path: Path, excluded: set[str]) -> bool:
    return any(path.name == name or path.as_posix().endswith(f"/{name}") for name in excluded)


def _lists(place: Path) -> dict[str, str]:
    """Return the lists by the names that rules use: `etc/lists/` and the path below."""
    return {
        f"etc/{LISTS_FOLDER}/{_below(path, place)}": _text(path, MAX_LIST_BYTES)
        for path in _found(place, "*")
        if path.suffix != ".cdb"
    }


def _below(path: Path, place: Path) -> str:
    return path.name if path == place else path.relative_to(place).as_posix()


def _settings(path: Path | None, *, named: bool) -> _Settings:
    settings = _Settings()
    if path is None or not (named or path.is_file()):
        return settings
    roots = read_xml(_text(path, MAX_BYTES), str(path))
    sections = [section for root in roots for section in root.children]
    for section in sections:
        for element in section.children:
            _apply(settings, section.name.lower(), element, path)
    settings.responses = read_responses(sections, str(path))
    return settings


def _apply(settings: _Settings, section: str, element: Element, path: Path) -> None:
    match section, element.name.lower():
        case "alerts", "log_alert_level":
            settings.thresholds.alert = _level(element, path)
        case "alerts", "email_alert_level":
            settings.thresholds.email = _level(element, path)
        case "ruleset", ("decoder_exclude" | "rule_exclude") as name:
            kind = name.removesuffix("_exclude")
            settings.excluded.setdefault(kind, set()).add(element.text.strip())
        case _:
            pass


def _level(element: Element, path: Path) -> int:
    text = element.text.strip()
    if not (text.isascii() and text.isdigit()):
        message = f"{element.name} is no number: {text!r}"
        raise LoadError([Fault(message, Location(str(path), element.line))])
    return int(text)
