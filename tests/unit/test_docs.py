"""What people read agrees with the code: commands, keys, metrics, rules, links, examples.

TOCSIN_UPDATE_DOCS=1 writes docs/rule-catalogue.md and docs/tocsin.schema.json anew. Fences of
YAML begin with a comment that says what they are: `# config`, `# rule`, `# filter`, `# test` (of
the rule before it) or `# test of <shipped rule file>`.
"""

import itertools
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints
from unittest.mock import Mock

import msgspec
import pytest
import typer.main
from prometheus_client import CollectorRegistry

import tocsin
from tocsin.cli import app
from tocsin.dialects.loaded import Loaded
from tocsin.model.alert import SEVERITIES
from tocsin.normalize.fields import AUDIT
from tocsin.notify import NOTIFIERS, Sender
from tocsin.notify.sample import sample_alert
from tocsin.rules.ir import Grade, Rule
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.grouping import GroupingMetrics
from tocsin.runtime.health import _Processes
from tocsin.runtime.metrics import DetectMetrics
from tocsin.runtime.receiver import Receiver
from tocsin.runtime.rules import content_folder, load_rules
from tocsin.runtime.ruletest import run_tests, sidecar
from tocsin.runtime.watchmetrics import WatchMetrics
from tocsin.web.metrics import WebMetrics

if TYPE_CHECKING:
    from tocsin.rules.correlation import Correlation

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PAGE_IDS = [str(page.relative_to(ROOT)) for page in PAGES]
CATALOGUE = DOCS / "rule-catalogue.md"
SCHEMA = DOCS / "tocsin.schema.json"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NAMED_TEST = re.compile(r"\]\(\.\./(tests/[^)]+\.py)\)::(\w+)")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def everything() -> str:
    return "\n".join(map(read, PAGES))


def prose(page: Path) -> str:
    """Return a page without its fences, in which brackets are no links."""
    return _FENCE.sub("", read(page))


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", read(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == tocsin.__version__


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands by their full names; Typer keeps the types of Click to itself."""
    children = getattr(command, "commands", {})
    if not children or command.invoke_without_command:
        yield name, command
    for key, child in children.items():
        yield from commands(child, f"{name} {key}")


def test_every_command_and_option_is_documented() -> None:
    text = everything()
    found = dict(commands(typer.main.get_command(app), "tocsin"))
    assert {"tocsin serve", "tocsin rules list"} <= found.keys()
    assert found.keys() == {name for name in found if f"`{name}" in text}
    options = {
        option
        for command in found.values()
        for parameter in command.params
        if parameter.param_type_name == "option"
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option != "--help"
    }
    assert "--advertise" in options
    assert not {option for option in options if not re.search(rf"{option}(?![\w-])", text)}


def keys(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Yield the path of every key of the configuration."""
    hints = get_type_hints(struct)
    for info in msgspec.structs.fields(struct):
        path = f"{prefix}{info.encode_name}"
        hint = hints[info.name]
        yield path
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from keys(hint, f"{path}.")
        elif get_origin(hint) is tuple:
            item = get_args(hint)[0]
            for kind in get_args(item) or (item,):
                if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                    yield from keys(kind, f"{path}[].")
        elif get_origin(hint) is dict and isinstance(get_args(hint)[1], type(Config)):
            yield from keys(get_args(hint)[1], f"{path}.NAME.")
    if struct is Config:
        for notifier in NOTIFIERS.values():
            yield "notify.NAME.type"
            yield from keys(notifier.info.settings, "notify.NAME.")


def test_every_key_is_documented() -> None:
    text = read(DOCS / "configuration.md")
    paths = set(keys(Config))
    assert {"webhook.tls.key", "files[].path", "notify.NAME.secret"} <= paths
    assert not {path for path in paths if f"| `{path}` |" not in text}
    variables = {f"TOCSIN__{path.upper().replace('.', '__')}" for path in paths if "." in path}
    missing = {name for name in variables if f"`{name}`" not in text}
    assert not {name for name in missing if "[]" not in name and "__NAME__" not in name}


def test_no_key_is_documented_that_is_none() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+[.\[][^`]*)` \|", read(DOCS / "configuration.md"), re.MULTILINE
    )
    assert set(rows) <= set(keys(Config))


def families(data: Path) -> Iterator[tuple[str, str]]:
    """Yield name and type of all metrics, as Prometheus sees them."""
    receiver = Receiver(load_config(None, {"TOCSIN__DATA": str(data)}))
    receiver._spool.close()
    registry = CollectorRegistry()
    DetectMetrics(registry)
    GroupingMetrics(registry)
    Sender([], Mock(), Mock(), registry)
    WebMetrics(registry)
    WatchMetrics(registry).show([], {}, [], [], 0.0)
    collected = [*receiver._registry.collect(), *registry.collect(), *_Processes([]).collect()]
    for family in collected:
        suffix = "_total" if family.type == "counter" else ""
        yield family.name + suffix, family.type


def test_every_metric_is_documented(tmp_path: Path) -> None:
    rows = re.findall(
        r"^\| `(tocsin_\w+)(?:\{[^}]*\})?` \| (\w+) \|",
        read(DOCS / "operations.md"),
        re.MULTILINE,
    )
    assert sorted(rows) == sorted(families(tmp_path))


def test_every_derived_field_is_documented() -> None:
    text = read(DOCS / "rules.md")
    assert not {name for name in AUDIT.derived if not re.search(rf"\| `{name}[`.]", text)}


def alert_keys(value: object, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from alert_keys(item, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix


def test_every_key_of_an_alert_is_documented() -> None:
    text = read(DOCS / "architecture.md")
    assert not {key for key in alert_keys(msgspec.to_builtins(sample_alert(0))) if key not in text}


def test_every_dependency_has_a_reason() -> None:
    text = read(DOCS / "adr" / "0002-dependencies.md")
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *itertools.chain.from_iterable(extras)]
    names = {re.split(r"[<>=!~;\[]", requirement)[0].strip() for requirement in wanted}
    assert not {name for name in names if f"| {name} |" not in text}


def test_every_decision_is_linked() -> None:
    text = read(DOCS / "architecture.md")
    decisions = list((DOCS / "adr").glob("*.md"))
    assert decisions
    assert not [page.name for page in decisions if f"(adr/{page.name})" not in text]


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return plain.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in map(slug, _HEADING.findall(prose(linked))), target


def test_the_tests_behind_the_guarantees_are_there() -> None:
    named = _NAMED_TEST.findall(read(DOCS / "guarantees.md"))
    assert named
    missing = [f"{path}::{test}" for path, test in named if not has_test(ROOT / path, test)]
    assert not missing


def has_test(path: Path, test: str) -> bool:
    return path.is_file() and re.search(rf"^ *(async )?def {test}\(", read(path), re.M) is not None


def fences(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the purpose and the text of each fence of YAML."""
    for indent, language, text in _FENCE.findall(read(page)):
        if language == "yaml":
            plain = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
            first, _, rest = plain.partition("\n")
            assert first.startswith("# "), f"say what this is: {first}"
            yield first.removeprefix("# "), rest


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_examples_work(page: Path, tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    for purpose, text in fences(page):
        match purpose.partition(" of ")[::2]:
            case "config", "":
                example_config(text, tmp_path)
            case "rule" | "filter" | "rule-with-sets", "":
                rule.write_text(text)
                sets = {"break_glass": ["alice"]} if purpose == "rule-with-sets" else {}
                loaded = load_rules([rule], sets)
                assert not loaded.faults
                assert not loaded.warnings
                assert not loaded.skipped
            case "test", shipped:
                if shipped:
                    rule.write_text(read(content_folder() / "sigma" / shipped))
                sidecar(rule).write_text(text)
                report = run_tests([rule])
                assert not [*report.faults, *report.failures]
                assert report.total > 1
            case _:
                pytest.fail(f"what is {purpose!r}?")


def example_config(text: str, folder: Path) -> Config:
    """Load an example whose secrets are elsewhere."""
    secret = folder / "secret"
    secret.write_text("https://example.com/a-secret-path\n")
    path = folder / "tocsin.yaml"
    path.write_text(re.sub(r"file:/[\w./-]+", f"file:{secret}", text))
    return load_config(path, {"TOCSIN_SOC_SECRET": "0123456789abcdef"})


def test_documented_defaults_are_the_defaults(tmp_path: Path) -> None:
    *_, (_, text) = fences(DOCS / "configuration.md")
    assert example_config(text, tmp_path) == load_config(None, {})
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", read(DOCS / "configuration.md"), re.M)
    assert len(rows) > 20
    defaults = msgspec.to_builtins(load_config(None, {}))
    assert {key: value(defaults, key) for key, _ in rows} == dict(rows)


def value(defaults: Any, key: str) -> str:
    for part in key.split("."):
        defaults = defaults[part]
    if isinstance(defaults, str):
        return defaults
    return msgspec.json.encode(defaults).decode()


def test_every_folder_of_rules_is_named() -> None:
    folders = {path.name for path in (content_folder() / "sigma").iterdir() if path.is_dir()}
    assert not {name for name in folders if f"`{name}`" not in read(DOCS / "rules.md")}


def test_the_catalogue_is_fresh() -> None:
    text = catalogue(load_rules([], grades=get_args(Grade)))
    if os.environ.get("TOCSIN_UPDATE_DOCS"):
        CATALOGUE.write_text(text)
    assert read(CATALOGUE) == text, "TOCSIN_UPDATE_DOCS=1 writes it anew"


def test_the_configuration_schema_is_fresh() -> None:
    schema = msgspec.json.schema(Config)
    # The certificates are by default those of our own CA, which only `load_config` can fill in.
    for definition in schema["$defs"].values():
        definition["required"] = [
            name for name in definition.get("required", ()) if name not in ("tls", "webhook")
        ]
    text = json.dumps(schema, indent=2) + "\n"
    if os.environ.get("TOCSIN_UPDATE_DOCS"):
        SCHEMA.write_text(text)
    assert read(SCHEMA) == text, "TOCSIN_UPDATE_DOCS=1 writes it anew"


def catalogue(loaded: Loaded) -> str:
    """Return the page that lists what ships, by folder and severity."""
    folders: dict[str, list[Rule | Correlation]] = {}
    shown: list[Rule | Correlation] = [rule for rule in loaded.rules if not rule.silent]
    for rule in [*shown, *loaded.correlations]:
        folders.setdefault(Path(rule.at.path).parent.name, []).append(rule)
    lines = [
        "# Rule catalogue",
        "",
        "The rules that ship with Tocsin, by the tactic of their folder. `tocsin rules show ID` "
        "shows one; the start of the id is enough. Those of grade `extended` are in force only "
        "where [`grades`](configuration.md) names it. `needs` is the least audit level at which "
        "a rule works in full.",
        "",
        "Written by [tests/unit/test_docs.py](../tests/unit/test_docs.py); do not edit.",
    ]
    for folder, members in sorted(folders.items()):
        lines += ["", f"## {folder}", ""]
        lines += ["| severity | rule | grade | needs | ATT&CK | id |", "|---|---|---|---|---|---|"]
        members.sort(key=lambda rule: (-SEVERITIES.index(rule.severity), rule.title))
        for rule in members:
            attack = ", ".join(technique.technique for technique in rule.attack)
            link = f"[{rule.title}](../src/tocsin/content/{rule.at.path})"
            cells = (rule.severity, link, rule.grade, rule.needs or "", attack, f"`{rule.id[:8]}`")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
