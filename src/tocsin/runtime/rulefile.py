"""What the file of a rule says for people: its own text, its tests, where to read more."""

from pathlib import Path

from tocsin.dialects.yaml import Document, read_documents
from tocsin.model.alert import RuleRef
from tocsin.model.errors import LoadError
from tocsin.runtime.rules import source_path
from tocsin.runtime.ruletest import sidecar
from tocsin.web.workbench import RuleFile

# A file of many rules may be larger; of one rule nobody reads more.
MAX_CHARACTERS = 65_536
_WAZUH_END = "</rule>"


def read_rule_file(rule: RuleRef) -> RuleFile:
    """Return what the file of a rule says; nothing if it cannot be read any more."""
    shown, _, line = rule.source.rpartition(":")
    path = source_path(shown)
    text = _text(path)
    start = int(line) if line.isdigit() else 1
    if rule.dialect == "wazuh":
        return RuleFile(text=_element(text, start))
    document, own = _document(text, shown, start)
    value = document.value if document is not None else None
    keys = value if isinstance(value, dict) else {}
    return RuleFile(
        text=own[:MAX_CHARACTERS],
        tests=_text(sidecar(path))[:MAX_CHARACTERS],
        description=" ".join(str(keys.get("description") or "").split()),
        references=_texts(keys.get("references")),
        falsepositives=_texts(keys.get("falsepositives")),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _element(text: str, start: int) -> str:
    """Return the lines of the Wazuh rule that begins on line `start`."""
    lines = text.splitlines(keepends=True)[start - 1 :]
    for number, line in enumerate(lines):
        if _WAZUH_END in line.lower():
            return "".join(lines[: number + 1])[:MAX_CHARACTERS]
    return "".join(lines)[:MAX_CHARACTERS]


def _document(text: str, path: str, line: int) -> tuple[Document | None, str]:
    """Return the document of a YAML file that line `line` is in, and its text."""
    try:
        documents = read_documents(text, path)
    except LoadError:
        return None, text
    starts = [document.lines.get((), 1) for document in documents]
    index = sum(start <= line for start in starts) - 1
    if index < 0:
        return None, text
    end = starts[index + 1] - 1 if index + 1 < len(starts) else None
    lines = text.splitlines(keepends=True)
    own = lines[:end] if index == 0 else lines[starts[index] - 1 : end]
    if own and own[-1].strip() == "---":
        own.pop()
    return documents[index], "".join(own)


def _texts(value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value] if value else []
    return tuple(str(entry) for entry in entries)
