"""Load the files of a Wazuh installation: decoders, rules and lists, and what is built in."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from tocsin.dialects.wazuh.builtin import JSON_DECODERS, root_rules
from tocsin.dialects.wazuh.decode import Decoders
from tocsin.dialects.wazuh.decoders import load_decoders
from tocsin.dialects.wazuh.evaluate import Session, Thresholds
from tocsin.dialects.wazuh.faults import Findings
from tocsin.dialects.wazuh.lists import read_list
from tocsin.dialects.wazuh.rules import Known
from tocsin.dialects.wazuh.tree import RuleTree, load_rules
from tocsin.model.errors import Fault

# The files in which the original ships what is built in here, and what tells that it is there.
_DECODERS_FILE, _DECODER_MARK = "0006-json_decoders.xml", '<decoder name="json"'
_RULES_FILE, _RULE_MARK = "0010-rules_config.xml", '<rule id="1"'

TextFile = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Files:
    """The texts of an installation, with the paths to quote; lists by the names rules use."""

    decoders: tuple[TextFile, ...] = ()
    rules: tuple[TextFile, ...] = ()
    lists: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Installation:
    """Decoders and rules that are ready."""

    decoders: Decoders
    tree: RuleTree
    warnings: tuple[Fault, ...]

    def session(
        self,
        clock: Callable[[], float],
        thresholds: Thresholds | None = None,
        hostname: str | None = None,
        *,
        why: bool = False,
    ) -> Session:
        """Start a session without any memory; with `why`, results tell what stopped each rule."""
        return Session(
            self.decoders,
            self.tree,
            clock=clock,
            thresholds=thresholds,
            hostname=hostname,
            why=why,
        )


def install(files: Files, *, strict: bool) -> Installation:
    """Load an installation; JSON decoders and root rules are built in, if it has none.

    Raises:
        LoadError: the engine would not start with these files; all faults of all files.
    """
    findings = Findings()
    built_in = (_DECODERS_FILE, JSON_DECODERS)
    decoders = load_decoders(_with(files.decoders, _DECODER_MARK, built_in), findings)
    lists = {name: read_list(text) for name, text in (files.lists or {}).items()}
    known = Known(frozenset(decoders.names), lists, strict)
    rules = _with(files.rules, _RULE_MARK, (_RULES_FILE, root_rules()))
    tree = load_rules(rules, known, findings)
    findings.check()
    return Installation(Decoders(decoders, strict), tree, tuple(findings.warnings))


def _with(files: Iterable[TextFile], mark: str, built_in: TextFile) -> list[TextFile]:
    """Return files in the order of their base names, one built in among them if it is missing."""
    all_files = list(files)
    if not any(mark in text for _, text in all_files):
        name, text = built_in
        all_files.append((f"built-in/{name}", text))
    return sorted(all_files, key=lambda file: PurePath(file[0]).name)
