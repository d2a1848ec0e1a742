"""Load the rules that are in force: what ships with Tocsin, and what the user adds.

A file's dialect is told by its content, not by its name or folder. Everything wrong with
the files is reported at once; rules that loaded are not held back by those that did not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import tocsin
from tocsin.dialects.loaded import Loaded
from tocsin.dialects.sigma import load_sigma
from tocsin.dialects.yaml import read_documents
from tocsin.model.errors import Fault, LoadError, Location
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir
from tocsin.rules.lint import unknown_fields

TEST_SUFFIX = ".test.yml"
_SUFFIXES = (".yml", ".yaml")

Sets = Mapping[str, Sequence[str]]


def content_folder() -> Path:
    """Return the folder of what ships with Tocsin."""
    return Path(tocsin.__file__).parent / "content"


def load_rules(paths: Iterable[Path], sets: Sets | None = None, *, builtin: bool = True) -> Loaded:
    """Return all rules of the given files and folders, and the built-in ones.

    Args:
        paths: rule files, or folders that are searched for them.
        sets: texts that users add to the named sets of the built-in rules.
        builtin: whether the rules that ship with Tocsin are loaded too.
    """
    loaded = Loaded()
    roots = [content_folder() / "sigma", *paths] if builtin else list(paths)
    sources = [source for root in roots for source in _read(root, loaded)]
    sigma = load_sigma(sources, named_sets(sets or {}))
    loaded.faults.extend(sigma.faults)
    loaded.skipped = sigma.skipped
    loaded.rules = _unique(sigma.rules, loaded)
    for rule in loaded.rules:
        loaded.warnings.extend(unknown_fields(rule, AUDIT))
    return loaded


def named_sets(additions: Sets) -> dict[str, list[str]]:
    """Return the named sets that rules refer to, with what users add to them.

    Raises:
        LoadError: a shipped file of sets is malformed.
    """
    sets: dict[str, list[str]] = {}
    for path in sorted((content_folder() / "sets").glob("*.yml")):
        for document in read_documents(path.read_text(), str(path)):
            if not isinstance(document.value, dict):
                raise LoadError([Fault("a file of sets maps names to lists", Location(str(path)))])
            for name, texts in document.value.items():
                sets.setdefault(name, []).extend(str(text) for text in texts)
    for name, added in additions.items():
        sets.setdefault(name, []).extend(added)
    return sets


def rule_files(root: Path) -> Iterator[Path]:
    """Yield the rule files of a folder in order, or the file itself."""
    if root.is_file():
        yield root
        return
    for path in sorted(root.rglob("*")):
        if path.suffix in _SUFFIXES and not path.name.endswith(TEST_SUFFIX) and path.is_file():
            yield path


def _read(root: Path, loaded: Loaded) -> Iterator[tuple[str, str]]:
    if not root.exists():
        loaded.faults.append(Fault("no such rule file or folder", Location(str(root))))
        return
    for path in rule_files(root):
        try:
            yield _shown(path), path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            loaded.faults.append(Fault(f"cannot be read: {reason}", Location(str(path))))


def _shown(path: Path) -> str:
    """Return how a rule file is quoted: shipped ones from the content folder on."""
    content = content_folder()
    return str(path.relative_to(content)) if path.is_relative_to(content) else str(path)


def _unique(rules: Iterable[ir.Rule], loaded: Loaded) -> list[ir.Rule]:
    known: dict[tuple[str, str], ir.Rule] = {}
    for rule in rules:
        first = known.setdefault((rule.dialect, rule.id), rule)
        if first is not rule:
            message = f"rule id {rule.id} is already used at {first.at}"
            loaded.faults.append(Fault(message, rule.at, "id"))
    return list(known.values())
