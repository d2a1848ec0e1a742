"""The configuration: one YAML file, environment variables over it, defaults under it.

Everything is checked when it is read: an unknown key is an error with its line. Each key
can also be set by a variable: `webhook.port` is `TOCSIN__WEBHOOK__PORT`. In texts, `${NAME}`
is replaced by a variable and `file:PATH` by the content of a file, so that secrets need not
stand in the configuration.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from tocsin.dialects.yaml import Document, read_documents
from tocsin.dialects.yaml import Path as KeyPath
from tocsin.ingest.follow import FileSettings
from tocsin.ingest.networks import parse_network
from tocsin.ingest.spool import SpoolSettings
from tocsin.ingest.spool.settings import GIB
from tocsin.ingest.tls import TlsSettings
from tocsin.ingest.webhook import WebhookSettings
from tocsin.model.alert import Severity
from tocsin.model.errors import Fault, LoadError, Location, TocsinError
from tocsin.model.routes import Route
from tocsin.notify import AnyChannelSettings, ChannelName
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.parameters import check
from tocsin.respond.settings import RespondSettings
from tocsin.rules.ir import DEFAULT_GRADES, Grade
from tocsin.rules.suppress import WrittenSuppress
from tocsin.runtime.wazuhfiles import WazuhFiles
from tocsin.web.settings import WebSettings

PREFIX = "TOCSIN__"

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_AT = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`")


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Health(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `/livez`, `/readyz` and `/metrics` are served, without credentials."""

    host: str = "127.0.0.1"
    port: Port = 8081


class AlertRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long alerts are kept in the store, and how large the alert logs grow.

    An alert goes once it is older than `keep_days`, there are more than `max_alerts`, or the
    store is larger than `max_bytes`; incidents go with their alerts. Alerts of pinned incidents
    stay.

    `wazuh_json` is a file for a second log, in the shape of Wazuh's alerts.json.
    """

    keep_days: float = 90
    max_alerts: int = 1_000_000
    max_bytes: int = 4 * GIB
    log_bytes: int = 50_000_000
    log_files: int = 5
    wazuh_json: str = ""


class ApiAccess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How Tocsin may ask a cluster's API server, with as few rights as possible.

    Attributes:
        kubeconfig: whose current context is used.
        canary: whether to send a harmless request once a minute, whose event must come back.
    """

    kubeconfig: str
    canary: bool = True

    @property
    def kubeconfig_path(self) -> Path:
        """The kubeconfig."""
        return Path(self.kubeconfig)


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the line to an API server counts as broken.

    Attributes:
        silent_after: seconds without a post, from a source that used to post regularly.
        settle_after: seconds after an outage in which late batches may still come.
        alerts: whether people are told by alerts; findings are shown in any case.
    """

    silent_after: float = 300
    settle_after: float = 300
    alerts: bool = True


class WazuhRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules of a Wazuh installation, among the rules."""

    wazuh: WazuhFiles


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that an operator sets. Relative paths start at the working directory.

    Attributes:
        data: folder of everything that Tocsin writes.
        spool_key: file with the key that seals stored events; keep it apart from `data`
            where the disk is shared or backed up.
        rules: rule files and folders besides the built-in ones, and files of Wazuh.
        grades: which of the built-in rules are in force: `core` is quiet, `audit` notes facts
            that open no incident, `extended` is noisier.
        sets: texts to add to the named sets that rules refer to.
        suppress: suppression of rules of any dialect, by rule id, in place of their own.
        notify: channels that are told about alerts, by name.
        routes: which of them are told what, the first that matches; without any, all of them
            are told all that reaches their lowest severity.
        files: audit logs to follow.
        api_servers: access to API servers, by cluster.
        web: the dashboard.
        respond: responses: what is done about alerts.
    """

    webhook: WebhookSettings
    data: str = "tocsin-data"
    spool_key: str = ""
    health: Health = Health()
    spool: SpoolSettings = SpoolSettings()
    rules: tuple[str | WazuhRules, ...] = ()
    builtin_rules: bool = True
    grades: tuple[Grade, ...] = DEFAULT_GRADES
    sets: dict[str, tuple[str, ...]] = {}
    suppress: dict[str, WrittenSuppress] = {}
    notify: dict[ChannelName, AnyChannelSettings] = {}
    routes: tuple[Route, ...] = ()
    files: tuple[FileSettings, ...] = ()
    alerts: AlertRetention = AlertRetention()
    api_servers: dict[str, ApiAccess] = {}
    watch: Watch = Watch()
    web: WebSettings = WebSettings()
    respond: RespondSettings = RespondSettings()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def rule_paths(self) -> list[Path]:
        """The rule files and folders."""
        return [Path(rule) for rule in self.rules if isinstance(rule, str)]

    @property
    def wazuh(self) -> list[WazuhFiles]:
        """The files of Wazuh."""
        return [rule.wazuh for rule in self.rules if isinstance(rule, WazuhRules)]

    @property
    def spool_folder(self) -> Path:
        """The folder of the spool."""
        return self.folder / "spool"

    @property
    def channels(self) -> dict[str, AnyChannelSettings]:
        """The channels; those that name no dashboard link to where people reach this one."""
        url = self.web.public_url if self.web.enabled else ""
        return {
            name: msgspec.structs.replace(channel, dashboard_url=channel.dashboard_url or url)
            if url
            else channel
            for name, channel in self.notify.items()
        }

    @property
    def lowest_severities(self) -> dict[str, Severity]:
        """The lowest severity that each channel is told."""
        return {name: channel.min_severity for name, channel in self.notify.items()}

    @property
    def store_path(self) -> Path:
        """The store."""
        return self.folder / "tocsin.db"

    @property
    def alert_log_path(self) -> Path:
        """The alert log."""
        return self.folder / "alerts.jsonl"

    @property
    def quarantine_folder(self) -> Path:
        """The folder of what is no proper audit event."""
        return self.folder / "quarantine"

    @property
    def responses_folder(self) -> Path:
        """The folder of the responses' journal, evidence and kill switch."""
        return self.folder / "responses"

    @property
    def key_path(self) -> Path:
        """The file with the spool's key."""
        return Path(self.spool_key) if self.spool_key else self.folder / "keys" / "spool.key"


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where each value comes from: the file, or a variable over it."""

    document: Document
    variables: dict[KeyPath, str] = field(default_factory=dict)

    def at(self, *path: str | int) -> Location:
        """Return where the value at `path` was set, or else the nearest part around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.variables:
                return Location(self.variables[path[:end]])
        return self.document.at(*path)


def load_config(
    path: Path | None, environment: Mapping[str, str] | None = None, data: Path | None = None
) -> Config:
    """Return the configuration of a file, or the defaults without one.

    Args:
        path: the file.
        environment: the variables, by default those of this process.
        data: the data folder, over what file and environment say.

    Raises:
        TocsinError: the file cannot be read.
        LoadError: with the first thing that is wrong in it, and its line.
    """
    env = os.environ if environment is None else environment
    sources = _Sources(_read(path) if path is not None else Document("environment", {}))
    values = sources.document.value
    if not isinstance(values, dict):
        raise LoadError([Fault("the configuration is a mapping of keys", sources.at())])
    _apply_environment(values, env, sources)
    resolved = _resolve(values, env, sources)
    if data is not None:
        resolved["data"] = str(data)
    complete = _with_tls(resolved)
    try:
        config = msgspec.convert(complete, Config)
    except msgspec.ValidationError as error:
        raise LoadError([_fault(str(error), complete, sources)]) from error
    _check_networks(config, sources)
    _check_routes(config, sources)
    _check_logs(config, sources)
    _check_responses(config, sources)
    return config


def _read(path: Path) -> Document:
    try:
        documents = read_documents(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"{path}: the configuration cannot be read: {reason}"
        raise TocsinError(message) from error
    return documents[0] if documents else Document(str(path), {})


def _check_networks(config: Config, sources: _Sources) -> None:
    for number, text in enumerate(config.webhook.allow_unauthenticated_from):
        try:
            parse_network(text)
        except ValueError as error:
            at = sources.at("webhook", "allow_unauthenticated_from", number)
            fault = Fault(str(error), at, "webhook.allow_unauthenticated_from")
            raise LoadError([fault]) from error


def _check_routes(config: Config, sources: _Sources) -> None:
    for number, route in enumerate(config.routes):
        for place, name in enumerate(route.to):
            if name not in config.notify:
                known = ", ".join(config.notify) or "none"
                message = f"there is no channel {name!r} under `notify`; there are: {known}"
                at = sources.at("routes", number, "to", place)
                raise LoadError([Fault(message, at, f"routes[{number}].to")])


def _check_logs(config: Config, sources: _Sources) -> None:
    second = config.alerts.wazuh_json
    if second and Path(second).absolute() == config.alert_log_path.absolute():
        message = f"{second} is the file of our own alert log; name another one"
        at = sources.at("alerts", "wazuh_json")
        raise LoadError([Fault(message, at, "alerts.wazuh_json")])


def _check_responses(config: Config, sources: _Sources) -> None:
    faults = [
        Fault(wrong.message, sources.at("respond", *wrong.path), f"respond.{_dotted(wrong.path)}")
        for wrong in check(config.respond.responses, ACTIONS)
    ]
    if faults:
        raise LoadError(faults)


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _with_tls(values: dict[str, object]) -> dict[str, object]:
    """Return the values with the webhook's certificates, by default those of our own CA."""
    pki = Path(str(values.get("data", "tocsin-data"))) / "pki"
    own = TlsSettings(str(pki / "server.crt"), str(pki / "server.key"), str(pki / "ca.crt"))
    webhook = values.get("webhook") or {}
    if not isinstance(webhook, dict):
        return values
    return values | {"webhook": {"tls": msgspec.to_builtins(own)} | webhook}


def _apply_environment(
    values: dict[str, object], env: Mapping[str, str], sources: _Sources
) -> None:
    for name in sorted(env):
        if not name.startswith(PREFIX):
            continue
        *parents, key = name.removeprefix(PREFIX).lower().split("__")
        node: object = values
        for depth, parent in enumerate(parents, start=1):
            if isinstance(node, dict) and parent not in node:
                sources.variables[tuple(parents[:depth])] = name
            node = node.setdefault(parent, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            message = f"{name}: {'.'.join(parents)} is not a group of keys"
            raise TocsinError(message)
        documents = read_documents(env[name], name)
        node[key] = documents[0].value if documents else None
        sources.variables[*parents, key] = name


def _resolve(
    values: dict[str, object], env: Mapping[str, str], sources: _Sources
) -> dict[str, object]:
    """Return the values with variables and file contents put in."""

    def text(value: str, path: tuple[str | int, ...]) -> str:
        if value.startswith("file:"):
            return _file_content(value.removeprefix("file:"), sources.at(*path))

        def variable(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in env:
                message = f"environment variable {name} is not set"
                raise LoadError([Fault(message, sources.at(*path))])
            return env[name]

        return _VARIABLE.sub(variable, value)

    def walk(value: object, path: tuple[str | int, ...]) -> object:
        if isinstance(value, str):
            return text(value, path)
        if isinstance(value, dict):
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return value

    return {key: walk(value, (key,)) for key, value in values.items()}


def _file_content(path: str, at: Location) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise LoadError([Fault(f"{path} cannot be read: {reason}", at)]) from error


def _fault(message: str, values: dict[str, object], sources: _Sources) -> Fault:
    """Say where a value was set that does not fit."""
    at = _AT.search(message)
    keys = re.findall(r"[^.\[\]]+", at["path"]) if at else []
    # msgspec does not tell which entry of a mapping is wrong.
    if at and (at["key"] or "[...]" in at["path"]):
        mapping = re.findall(r"[^.\[\]]+", at["path"].partition("[...]")[0])
        keys.insert(len(mapping), _wrong_entry(values, mapping))
    if unknown := _UNKNOWN.search(message):
        keys.append(unknown["field"])
    path = tuple(int(key) if key.isdigit() else key for key in keys)
    return Fault(_AT.sub("", message), sources.at(*path), ".".join(keys) or None)


def _wrong_entry(values: dict[str, object], mapping: Sequence[str]) -> str:
    """Return the entry of a mapping that does not even fit without the others."""
    entries: object = values
    for key in mapping:
        entries = entries.get(key) if isinstance(entries, dict) else None
    for key, entry in entries.items() if isinstance(entries, dict) else ():
        alone = {key: entry}
        for outer in reversed(mapping):
            alone = {outer: alone}
        try:
            msgspec.convert(_with_tls(alone), Config)
        except msgspec.ValidationError:
            return str(key)
    return ""
