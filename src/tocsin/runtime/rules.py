"""Load the rules that are in force: what ships with Tocsin, and what the user adds.

A file's dialect is told by its content, not by its name or folder. Everything wrong with
the files is reported at once; rules that loaded are not held back by those that did not.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

from typing_extensions import override

import tocsin
from tocsin.detect.build import reference
from tocsin.dialects.loaded import Loaded
from tocsin.dialects.sigma import load_sigma
from tocsin.dialects.wazuh.asalert import reference as wazuh_reference
from tocsin.dialects.yaml import read_documents
from tocsin.model.alert import RuleRef
from tocsin.model.errors import Fault, LoadError, Location
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir
from tocsin.rules.correlation import Correlation
from tocsin.rules.lint import lint, lint_correlation
from tocsin.runtime.config import Config
from tocsin.runtime.hiding import suppressing
from tocsin.runtime.wazuh import Wazuh, load_wazuh_files
from tocsin.runtime.wazuhfiles import WazuhFiles

TEST_SUFFIX = ".test.yml"
_SUFFIXES = (".yml", ".yaml")

Sets = Mapping[str, Sequence[str]]
AnyRule = TypeVar("AnyRule", ir.Rule, Correlation)


@dataclass(slots=True)
class InForce(Loaded):
    """What is in force: rules, and installations of Wazuh with rules of their own."""

    wazuh: list[Wazuh] = field(default_factory=list)

    @property
    @override
    def count(self) -> int:
        """How many rules there are, of all dialects."""
        return len(self.rules) + len(self.correlations) + sum(one.count for one in self.wazuh)

    def references(self) -> list[RuleRef]:
        """Return the rules of all dialects, as alerts name them."""
        own = [reference(rule) for rule in self.rules]
        own += [reference(one) for one in self.correlations]
        return [*own, *(wazuh_reference(rule) for one in self.wazuh for rule in one.rules())]


def content_folder() -> Path:
    """Return the folder of what ships with Tocsin."""
    return Path(tocsin.__file__).parent / "content"


def load_rules(
    paths: Iterable[Path],
    sets: Sets | None = None,
    *,
    builtin: bool = True,
    grades: Collection[ir.Grade] = ir.DEFAULT_GRADES,
) -> Loaded:
    """Return all rules of the given files and folders, and the built-in ones.

    Args:
        paths: rule files, or folders that are searched for them.
        sets: texts that users add to the named sets of the built-in rules.
        builtin: whether the rules that ship with Tocsin are loaded too.
        grades: which of these.
    """
    loaded = Loaded()
    roots = [content_folder() / "sigma", *paths] if builtin else list(paths)
    sources = [source for root in roots for source in _read(root, loaded)]
    sigma = load_sigma(sources, named_sets(sets or {}))
    loaded.faults.extend(sigma.faults)
    loaded.skipped = sigma.skipped
    loaded.correlations = [
        one
        for one in _unique(sigma.correlations, loaded)
        if one.grade in grades or not _is_shipped(one)
    ]
    used = {name for one in loaded.correlations for name in one.rules}
    loaded.rules = [
        rule
        for rule in _unique(sigma.rules, loaded)
        if (rule.id in used if rule.silent else rule.grade in grades or not _is_shipped(rule))
    ]
    for rule in loaded.rules:
        loaded.warnings.extend(lint(rule, AUDIT))
    for one in loaded.correlations:
        loaded.warnings.extend(lint_correlation(one, AUDIT))
    return loaded


def rules_in_force(
    config: Config,
    more: Iterable[Path] = (),
    *,
    wazuh: Iterable[WazuhFiles] = (),
    builtin: bool = True,
) -> InForce:
    """Return the rules that the configuration puts in force, and those of further files."""
    paths = [*config.rule_paths, *more]
    shipped = builtin and config.builtin_rules
    loaded = load_rules(paths, config.sets, builtin=shipped, grades=config.grades)
    in_force = list(suppressing(loaded.rules, config.suppress))
    found = InForce(in_force, loaded.correlations, loaded.faults, loaded.warnings, loaded.skipped)
    for files in (*config.wazuh, *wazuh):
        try:
            one = load_wazuh_files(files)
        except LoadError as error:
            found.faults.extend(error.faults)
        else:
            found.wazuh.append(one)
            found.warnings.extend(one.installation.warnings)
    return found


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
    """Yield the rule files of a folder in order, or the file itself.

    Raises:
        OSError: a folder cannot be read.
    """
    if not root.is_dir():
        yield root
        return
    found: list[Path] = []
    for folder, folders, names in os.walk(root, onerror=_raise):
        # Hidden: what editors leave, and the versions of a mounted ConfigMap, whose files are
        # links into them.
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(Path(folder) / name for name in names if _is_rule_file(name))
    yield from sorted(path for path in found if path.is_file())


def _is_rule_file(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not name.endswith(TEST_SUFFIX) and not name.startswith(".")


def _raise(error: OSError) -> NoReturn:
    raise error


def _read(root: Path, loaded: Loaded) -> Iterator[tuple[str, str]]:
    try:
        paths = list(rule_files(root))
    except OSError as error:
        loaded.faults.append(_unreadable(Path(error.filename), error))
        return
    for path in paths:
        try:
            yield _shown(path), path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            loaded.faults.append(_unreadable(path, error))


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> Fault:
    if isinstance(error, FileNotFoundError):
        return Fault("no such rule file or folder", Location(str(path)))
    reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
    return Fault(f"cannot be read: {reason}", Location(str(path)))


def _shown(path: Path) -> str:
    """Return how a rule file is quoted: shipped ones from the content folder on."""
    content = content_folder()
    return str(path.relative_to(content)) if path.is_relative_to(content) else str(path)


def _is_shipped(rule: AnyRule) -> bool:
    path = content_folder() / rule.at.path
    return path.is_relative_to(content_folder()) and path.is_file()


def source_path(shown: str) -> Path:
    """Return where the rule file lies that is quoted as `shown`."""
    shipped = content_folder() / shown
    return shipped if shipped.is_file() else Path(shown)


def _unique(rules: Iterable[AnyRule], loaded: Loaded) -> list[AnyRule]:
    known: dict[tuple[str, str], AnyRule] = {}
    for rule in rules:
        first = known.setdefault((rule.dialect, rule.id), rule)
        if first is not rule:
            message = f"rule id {rule.id} is already used at {first.at}"
            loaded.faults.append(Fault(message, rule.at, "id"))
    return list(known.values())
