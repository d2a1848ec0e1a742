"""What k3s and RKE2 have in common: files of settings in /etc/rancher, read in order.

A file in config.yaml.d is added to config.yaml. A key that ends in `+` adds to the list of
the files before instead of replacing it.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection
from tocsin.connect.distributions import ssh
from tocsin.connect.distributions.base import Distribution, InPlace, Plan
from tocsin.connect.files import read_required
from tocsin.connect.wording import Step, commands, text
from tocsin.connect.yamltext import dump_yaml, parse_mapping
from tocsin.model.errors import TocsinError

_ARGUMENTS = "kube-apiserver-arg"
# The last in the order of the alphabet: a later file with the key, without `+`, would win.
_FILE = "99-tocsin.yaml"


class Rancher(Distribution):
    """A distribution whose server is a systemd service with settings in /etc/rancher."""

    service: ClassVar[str]

    @abstractmethod
    def settings(self, connection: Connection) -> dict[str, list[str]]:
        """Return the settings besides the API server's arguments."""

    @property
    def folder(self) -> str:
        """Where the settings lie on a node."""
        return f"/etc/rancher/{self.name}"

    @property
    def drop_in(self) -> str:
        """The file that Tocsin adds to the settings."""
        return f"{self.folder}/config.yaml.d/{_FILE}"

    def content(self, connection: Connection) -> str:
        """Return the content of `drop_in`."""
        arguments = [flag.removeprefix("--") for flag in connection.flags]
        return dump_yaml({f"{_ARGUMENTS}+": arguments, **self.settings(connection)})

    @override
    def files(self, plan: Plan, contents: Mapping[str, bytes]) -> list[BundleFile]:
        content = self.content(plan.connection).encode()
        return [BundleFile(f"{self.name}/{_FILE}", content)]

    @override
    def install(self, plan: Plan) -> list[Step]:
        return [
            ssh.copy_step(plan.connection),
            ssh.try_step(plan.connection),
            Step(f"Change the API server, one {self.title} server at a time", self._change(plan)),
        ]

    @override
    def next_commands(self, plan: Plan) -> list[str]:
        host = ssh.hosts(plan.connection)[0]
        return [ssh.copy_line(plan), " && ".join(self._change_commands(host))]

    @override
    def keep(self, plan: Plan) -> str:
        return text(
            f"An upgrade of {self.title} leaves /etc/rancher alone, so there is nothing to do. A "
            "server that joins later needs steps 2 and 4."
        )

    @override
    def renewal(self, plan: Plan) -> str:
        return ssh.renewal(plan.connection)

    @override
    def way_back(self, plan: Plan) -> str:
        return text(
            "On one server after the other:",
            commands(
                *(
                    f"ssh root@{host} 'rm {self.drop_in} && systemctl restart {self.service}'"
                    for host in ssh.hosts(plan.connection)
                )
            ),
            "When the API servers answer, remove the files:",
            ssh.removal(plan.connection),
        )

    @override
    def in_place(self, connection: Connection) -> InPlace:
        return InPlace(
            self.drop_in,
            lambda _: self.content(connection),
            restart=f"systemctl restart {self.service}",
        )

    @override
    def refuse_node(self, connection: Connection, root: Path) -> None:
        folder = root / self.folder.lstrip("/")
        if not folder.is_dir():
            message = f"there is no folder {self.folder}: is this a server node of {self.title}?"
            raise TocsinError(message)
        ours = {flag.removeprefix("--") for flag in connection.flags}
        for path in [folder / "config.yaml", *sorted((folder / "config.yaml.d").glob("*.y*ml"))]:
            if path.is_file() and path.name != _FILE:
                _refuse_audit_settings(path, ours)

    def _change(self, plan: Plan) -> str:
        hosts = ssh.hosts(plan.connection)
        return text(
            "The file adds the API server's arguments to those that are there (`+`), and changes "
            "nothing else:",
            commands(*self._change_commands(hosts[0])),
            f"Where Tocsin itself runs on the server, `{plan.command.split(' --')[0]} … --apply` "
            "does this and step 2: it shows the difference, asks, keeps a backup.",
            f"Arguments given to {self.title} on its command line take the place of all in files. "
            "If this prints something, add the arguments there instead:",
            commands(f"ssh root@{hosts[0]} 'systemctl cat {self.service} | grep {_ARGUMENTS}'"),
            "Go on to the next server when this one answers again:",
            commands("kubectl get --raw /readyz"),
            "If it stays away, remove the file (see the end), restart, and read why:",
            commands(f"ssh root@{hosts[0]} journalctl -u {self.service} -n 100"),
        )

    def _change_commands(self, host: str) -> list[str]:
        return [
            f"ssh root@{host} install -d {self.folder}/config.yaml.d",
            f"scp {self.name}/{_FILE} root@{host}:{self.drop_in}",
            f"ssh root@{host} systemctl restart {self.service}",
        ]


def _refuse_audit_settings(path: Path, ours: set[str]) -> None:
    """Refuse a file that sets up auditing in another way."""
    others = [
        argument
        for argument in _arguments(parse_mapping(read_required(path), str(path)))
        if argument.startswith("audit-") and argument not in ours
    ]
    if others:
        message = (
            f"{path} has its own audit settings: {', '.join(others)}; take them out of it first"
        )
        raise TocsinError(message)


def _arguments(settings: Mapping[str, Any]) -> Iterator[str]:
    for key in (_ARGUMENTS, f"{_ARGUMENTS}+"):
        value = settings.get(key)
        for argument in value if isinstance(value, list) else [value]:
            if argument is not None:
                yield str(argument).removeprefix("--")
