"""Read a folder of Wazuh files: decoders, rules, lists and ossec.conf.

The folder is laid out like `/var/ossec/etc` (`decoders/`, `rules/`, `lists/`, `ossec.conf`), or
holds the XML files side by side. What a file outside of these folders is, its content tells.
"""

from dataclasses import dataclass, field
from pathlib import Path

from tocsin.dialects.wazuh.evaluate import Thresholds
from tocsin.dialects.wazuh.install import Files, Installation, install
from tocsin.dialects.wazuh.xml import MAX_BYTES, Element, read_xml
from tocsin.model.errors import Fault, LoadError, Location, TocsinError

CONFIG_NAME = "ossec.conf"
LISTS_FOLDER = "lists"
MAX_LIST_BYTES = 64 * 1024 * 1024
_KINDS = {"decoder": "decoder", "group": "rule"}


@dataclass(frozen=True, slots=True)
class Wazuh:
    """An installation with the thresholds of its configuration."""

    installation: Installation
    thresholds: Thresholds


@dataclass(slots=True)
class _Settings:
    """What is read from ossec.conf."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    excluded: dict[str, set[str]] = field(default_factory=dict)


def load_wazuh(folder: Path, *, strict: bool) -> Wazuh:
    """Load the files of a folder.

    Raises:
        TocsinError: there is no such folder, or no rule in it.
        LoadError: something is wrong in the files; all that is.
    """
    if not folder.is_dir():
        message = f"{folder} is no folder"
        raise TocsinError(message)
    settings = _settings(folder / CONFIG_NAME)
    texts: dict[str, list[tuple[str, str]]] = {"decoder": [], "rule": []}
    for path in _visible(folder, "*.xml"):
        text = _text(path, MAX_BYTES)
        kind = _kind(path.relative_to(folder), text)
        excluded = settings.excluded.get(kind, set())
        if kind in texts and not _is_excluded(path, excluded):
            texts[kind].append((str(path), text))
    if not texts["rule"]:
        message = f"{folder} holds no Wazuh rules: no .xml file with a <group>"
        raise TocsinError(message)
    files = Files(tuple(texts["decoder"]), tuple(texts["rule"]), _lists(folder / LISTS_FOLDER))
    return Wazuh(install(files, strict=strict), settings.thresholds)


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
        message = f"cannot read {path}: {error.strerror}"
        raise TocsinError(message) from error
    if len(data) > limit:
        raise LoadError([Fault(f"file is larger than {limit} bytes", Location(str(path)))])
    return data.decode("utf-8", "surrogateescape")


def _kind(path: Path, text: str) -> str:
    """Return `decoder` or `rule`; nothing for a file that is neither."""
    for name in path.parts[:-1]:
        if name in ("decoders", "rules"):
            return name.removesuffix("s")
    roots = (element.name.lower() for element in read_xml(text, str(path)))
    return next((_KINDS[name] for name in roots if name in _KINDS), "")


def _is_excluded(path: Path, excluded: set[str]) -> bool:
    return any(path.name == name or path.as_posix().endswith(f"/{name}") for name in excluded)


def _lists(folder: Path) -> dict[str, str]:
    """Return the lists by the names that rules use, `etc/lists/` and the path below."""
    return {
        f"etc/{LISTS_FOLDER}/{path.relative_to(folder).as_posix()}": _text(path, MAX_LIST_BYTES)
        for path in _visible(folder, "*")
        if path.is_file() and path.suffix != ".cdb"
    }


def _settings(path: Path) -> _Settings:
    settings = _Settings()
    if not path.is_file():
        return settings
    for root in read_xml(_text(path, MAX_BYTES), str(path)):
        for section in root.children:
            for element in section.children:
                _apply(settings, section.name.lower(), element, path)
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
