"""The kubeconfig by which the API server finds the receiver and shows who it is.

Certificate, key and token are named as files, because the API server reads such files
again when they change; what stands in the kubeconfig itself it reads once, at start.
What people have already is read here too, in any form that an API server takes.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import msgspec
import yaml

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.files import read_required
from tocsin.connect.names import Endpoint
from tocsin.connect.yamltext import parse_mapping
from tocsin.model.errors import TocsinError

Credential = Literal["certificate", "token"]


def webhook_url(endpoint: Endpoint, cluster: str, node: str) -> str:
    """Return where one API server posts; its events name neither cluster nor node."""
    return f"https://{endpoint.host_port}/v1/audit/{cluster}/{node}"


def webhook_kubeconfig(url: str, paths: NodePaths, credential: Credential) -> str:
    """Return the kubeconfig as YAML."""
    folder = paths.config_dir
    user = (
        {"tokenFile": f"{folder}/token"}
        if credential == "token"
        else {
            "client-certificate": f"{folder}/client.crt",
            "client-key": f"{folder}/client.key",
        }
    )
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "tocsin",
                "cluster": {"server": url, "certificate-authority": f"{folder}/ca.crt"},
            }
        ],
        "users": [{"name": "kube-apiserver", "user": user}],
        "contexts": [
            {"name": "tocsin", "context": {"cluster": "tocsin", "user": "kube-apiserver"}}
        ],
        "current-context": "tocsin",
    }
    return yaml.safe_dump(document, sort_keys=False)


@dataclass(frozen=True, slots=True)
class Material:
    """A certificate, a key or a token: either in the file `path`, or `content` itself.

    `key` is the key of the kubeconfig that says it, such as `client-key-data`.
    """

    key: str
    path: Path | None = None
    content: bytes = field(default=b"", repr=False)

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            TocsinError: the file is not there or cannot be read.
        """
        return self.content if self.path is None else read_required(self.path)


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where a webhook kubeconfig sends and how it proves itself, unchecked, as it stands there.

    `url` may lack its scheme. `unused` names what an API server would use and Tocsin does not
    follow, such as `proxy-url`.
    """

    url: str
    ca: Material | None = None
    client_certificate: Material | None = None
    client_key: Material | None = None
    token: Material | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    unused: tuple[str, ...] = ()


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class _User(msgspec.Struct, rename="kebab"):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    username: str = ""
    exec: object = None
    auth_provider: object = None


class _Context(msgspec.Struct):
    cluster: str = ""
    user: str = ""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Entry = TypeVar("_Entry", bound=_Named)


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: _Cluster = msgspec.field(default_factory=_Cluster)


class _NamedUser(msgspec.Struct):
    name: str
    user: _User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: _Context = msgspec.field(default_factory=_Context)


class _Kubeconfig(msgspec.Struct, rename="kebab"):
    kind: str = "Config"
    current_context: str = ""
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


def read_webhook(path: Path) -> WebhookTarget:
    """Return what the current context of a webhook kubeconfig says.

    The files it names are not opened; relative ones start at the kubeconfig's folder.

    Raises:
        TocsinError: it cannot be read, is no kubeconfig, or leads to no server.
    """
    try:
        return _target(_parse(path), path.parent)
    except ValueError as error:
        message = f"{path}: {error}"
        raise TocsinError(message) from error


def _parse(path: Path) -> _Kubeconfig:
    document = parse_mapping(read_required(path), str(path))
    kubeconfig = msgspec.convert(document, _Kubeconfig)
    if kubeconfig.kind != "Config":
        message = f"this is no kubeconfig, its kind is {kubeconfig.kind!r}"
        raise ValueError(message)
    return kubeconfig


def _target(kubeconfig: _Kubeconfig, folder: Path) -> WebhookTarget:
    if not kubeconfig.current_context:
        message = "there is no current-context, so the API server finds no server in it"
        raise ValueError(message)
    context = _find(kubeconfig.contexts, "contexts", kubeconfig.current_context).context
    cluster = _find(kubeconfig.clusters, "clusters", context.cluster).cluster
    # To an API server a user that is not there is no error: it shows no credential.
    users = [entry.user for entry in kubeconfig.users or () if entry.name == context.user]
    user = (users[0] if users else None) or _User()
    if not cluster.server:
        message = f"the cluster {context.cluster!r} has no `server: https://HOST:PORT/...`"
        raise ValueError(message)
    return WebhookTarget(
        url=cluster.server,
        ca=_material(
            "certificate-authority",
            cluster.certificate_authority,
            cluster.certificate_authority_data,
            folder,
        ),
        client_certificate=_material(
            "client-certificate", user.client_certificate, user.client_certificate_data, folder
        ),
        client_key=_material("client-key", user.client_key, user.client_key_data, folder),
        token=_token(user, folder),
        insecure=cluster.insecure_skip_tls_verify,
        tls_server_name=cluster.tls_server_name or None,
        unused=_unused(cluster, user),
    )


def _find(entries: Iterable[_Entry] | None, group: str, name: str) -> _Entry:
    for entry in entries or ():
        if entry.name == name:
            return entry
    message = f"the current context needs {name!r} under `{group}`, which is not there"
    raise ValueError(message)


def _material(key: str, file: str, data: str, folder: Path) -> Material | None:
    """Return one item; what stands inline goes over a file, as in the API server."""
    if not data:
        return Material(key, folder / file) if file else None
    key = f"{key}-data"
    try:
        return Material(key, content=base64.b64decode(data, validate=True))
    except binascii.Error as error:
        message = f"`{key}` is not base64"
        raise ValueError(message) from error


def _token(user: _User, folder: Path) -> Material | None:
    """Return the token; here the file goes over what stands inline."""
    if user.token_file:
        return Material("tokenFile", folder / user.token_file)
    return Material("token", content=user.token.encode()) if user.token else None


def _unused(cluster: _Cluster, user: _User) -> tuple[str, ...]:
    found = {
        "proxy-url": cluster.proxy_url,
        "username": user.username,
        "exec": user.exec,
        "auth-provider": user.auth_provider,
    }
    return tuple(key for key, value in found.items() if value)
