"""The configuration: one YAML file, environment variables over it, defaults under it.

Everything is checked when it is read: an unknown key is an error with its line. Each key
can also be set by a variable: `webhook.port` is `TOCSIN__WEBHOOK__PORT`. In texts, `${NAME}`
is replaced by a variable and `file:PATH` by the content of a file, so that secrets need not
stand in the configuration.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tocsin.dialects.yaml import Document, read_documents
from tocsin.ingest.follow import FileSettings
from tocsin.ingest.spool import SpoolSettings
from tocsin.ingest.tls import TlsSettings
from tocsin.ingest.webhook import WebhookSettings
from tocsin.model.errors import Fault, LoadError, Location, TocsinError
from tocsin.notify import AnyChannelSettings, ChannelName

PREFIX = "TOCSIN__"

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`")


class Health(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `/livez`, `/readyz` and `/metrics` are served, without credentials."""

    host: str = "127.0.0.1"
    port: int = 8081


class AlertRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long alerts are kept in the store, and how large the alert log grows."""

    keep_days: float = 90
    max_alerts: int = 1_000_000
    log_bytes: int = 50_000_000
    log_files: int = 5


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that an operator sets. Relative paths start at the working directory.

    Attributes:
        data: folder of everything that Tocsin writes.
        spool_key: file with the key that seals stored events; keep it apart from `data`
            where the disk is shared or backed up.
        rules: rule files and folders besides the built-in ones.
        sets: texts to add to the named sets that rules refer to.
        notify: channels that are told about alerts, by name.
        files: audit logs to follow.
    """

    webhook: WebhookSettings
    data: str = "tocsin-data"
    spool_key: str = ""
    health: Health = Health()
    spool: SpoolSettings = SpoolSettings()
    rules: tuple[str, ...] = ()
    builtin_rules: bool = True
    sets: dict[str, tuple[str, ...]] = {}
    notify: dict[ChannelName, AnyChannelSettings] = {}
    files: tuple[FileSettings, ...] = ()
    alerts: AlertRetention = AlertRetention()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def key_path(self) -> Path:
        """The file with the spool's key."""
        return Path(self.spool_key) if self.spool_key else self.folder / "keys" / "spool.key"


def load_config(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of a file, or the defaults without one.

    Raises:
        TocsinError: the file cannot be read.
        LoadError: with everything wrong in it that could be told, with lines.
    """
    env = os.environ if environment is None else environment
    document = _read(path) if path is not None else Document("environment", {})
    if not isinstance(document.value, dict):
        raise LoadError([Fault("the configuration is a mapping of keys", document.at())])
    values = document.value
    _apply_environment(values, env)
    resolved = _resolve(values, env, document)
    try:
        return msgspec.convert(_with_tls(resolved), Config)
    except msgspec.ValidationError as error:
        raise LoadError([_fault(str(error), document)]) from error


def _read(path: Path) -> Document:
    try:
        documents = read_documents(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"{path}: the configuration cannot be read: {reason}"
        raise TocsinError(message) from error
    return documents[0] if documents else Document(str(path), {})


def _with_tls(values: dict[str, object]) -> dict[str, object]:
    """Return the values with the webhook's certificates, by default those of our own CA."""
    pki = Path(str(values.get("data", "tocsin-data"))) / "pki"
    own = TlsSettings(str(pki / "server.crt"), str(pki / "server.key"), str(pki / "ca.crt"))
    webhook = values.get("webhook") or {}
    if not isinstance(webhook, dict):
        return values
    return values | {"webhook": {"tls": msgspec.to_builtins(own)} | webhook}


def _apply_environment(values: dict[str, object], env: Mapping[str, str]) -> None:
    for name in sorted(env):
        if not name.startswith(PREFIX):
            continue
        *parents, key = name.removeprefix(PREFIX).lower().split("__")
        node: object = values
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            message = f"{name}: {'.'.join(parents)} is not a group of keys"
            raise TocsinError(message)
        documents = read_documents(env[name], name)
        node[key] = documents[0].value if documents else None


def _resolve(
    values: dict[str, object], env: Mapping[str, str], document: Document
) -> dict[str, object]:
    """Return the values with variables and file contents put in."""

    def text(value: str, path: tuple[str | int, ...]) -> str:
        if value.startswith("file:"):
            return _file_content(value.removeprefix("file:"), document.at(*path))

        def variable(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in env:
                message = f"environment variable {name} is not set"
                raise LoadError([Fault(message, document.at(*path))])
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


def _fault(message: str, document: Document) -> Fault:
    """Say where in the file a value is that does not fit."""
    at = _AT.search(message)
    path = re.findall(r"[^.\[\]]+", at["path"]) if at else []
    unknown = _UNKNOWN.search(message)
    keys = [*path, unknown["field"]] if unknown else path
    known = tuple(int(key) if key.isdigit() else key for key in keys)
    return Fault(_AT.sub("", message), document.at(*known), ".".join(keys) or None)
