"""minikube: files come into the node from ~/.minikube/files, arguments from `minikube start`.

kubeadm mounts /etc/ssl/certs into the API server's pod, read-only, and minikube offers no way
to mount another folder: so the files go there, and there is no audit log on the node.
"""

import shlex
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection
from tocsin.connect.distributions import ssh
from tocsin.connect.distributions.base import Distribution, Plan, Verified
from tocsin.connect.wording import Step, commands, text
from tocsin.model.errors import TocsinError

_SEEN = "/etc/ssl/certs"
_SCRIPT = "minikube/start.sh"


class Minikube(Distribution):
    """Clusters of minikube with one control-plane node, new or existing."""

    name: ClassVar[str] = "minikube"
    title: ClassVar[str] = "minikube"
    verified: ClassVar[Verified] = "schema-checked only"
    checked: ClassVar[str] = (
        "The way was taken from minikube's documentation and source of its file sync. It was not "
        "run on minikube; the arguments are those that are run live against a real "
        "kube-apiserver 1.36."
    )
    paths: ClassVar[NodePaths] = NodePaths(config_dir=f"{_SEEN}/tocsin")
    writes_log: ClassVar[bool] = False

    @override
    def check(self, connection: Connection) -> None:
        if len(connection.named_nodes) > 1:
            message = (
                "all API servers of a minikube cluster get the same files: give --node once, or "
                "not at all"
            )
            raise TocsinError(message)
        if not connection.paths.config_dir.startswith(f"{_SEEN}/"):
            message = (
                f"the API server of minikube sees no folder of the node but {_SEEN}: choose a "
                "--remote-dir in there"
            )
            raise TocsinError(message)

    @override
    def files(self, plan: Plan, contents: Mapping[str, bytes]) -> list[BundleFile]:
        options = [f"--extra-config=apiserver.{flag[2:]}" for flag in plan.connection.flags]
        lines = [
            "#!/bin/sh",
            "# Start minikube with an API server that sends its audit events to Tocsin.",
            "# Options of your own, such as -p PROFILE, are passed on.",
            'exec minikube start "$@" \\',
            *(f"  {shlex.quote(option)} \\" for option in options[:-1]),
            f"  {shlex.quote(options[-1])}",
        ]
        return [BundleFile(_SCRIPT, "".join(f"{line}\n" for line in lines).encode())]

    @override
    def install(self, plan: Plan) -> list[Step]:
        connection = plan.connection
        return [
            Step(
                "Put the files where minikube takes them from",
                text(
                    "minikube copies what lies there into the node at each start:",
                    commands(*_copy_commands(connection)),
                ),
            ),
            Step(
                "Start minikube with the API server's arguments",
                text(
                    commands("minikube stop", f"sh {_SCRIPT}"),
                    "With a profile: `minikube stop -p PROFILE`, and `-p PROFILE` behind the "
                    "script. If the API server does not come up, read why:",
                    commands("minikube logs | grep kube-apiserver"),
                ),
            ),
            Step(
                "Try the connection from the node",
                text(
                    "127.0.0.1 is the node itself there. Your machine is called "
                    "host.minikube.internal; its address there:",
                    commands("minikube ssh -- grep host.minikube.internal /etc/hosts"),
                    "In the node (`minikube ssh`, then `sudo -i`) this must print 200:",
                    ssh.post_command(connection, connection.paths.config_dir),
                    ssh.ANSWERS,
                ),
            ),
        ]

    @override
    def next_commands(self, plan: Plan) -> list[str]:
        out = plan.sources.out.resolve()
        return [
            " && ".join([f"cd {out}", *_copy_commands(plan.connection)]),
            f"minikube stop; sh {out}/{_SCRIPT}",
        ]

    @override
    def keep(self, plan: Plan) -> str:
        return text(
            "minikube remembers the arguments in its profile, and copies the files at each start. "
            "A cluster made anew after `minikube delete` needs the script again."
        )

    @override
    def renewal(self, plan: Plan) -> str:
        return text(
            "Then put the files where minikube takes them from, as in step 2, and have them "
            "copied:",
            commands("minikube stop", "minikube start"),
        )

    @override
    def way_back(self, plan: Plan) -> str:
        return text(
            "Remove the files:",
            commands(f"rm -r {_source(plan.connection)}"),
            "minikube has no command to forget arguments. Make the cluster anew (`minikube "
            "delete`), or, while it is stopped, take the entries with audit- in their Key out of "
            "ExtraOptions in ~/.minikube/profiles/PROFILE/config.json.",
        )


def _source(connection: Connection) -> str:
    return f"~/.minikube/files{connection.paths.config_dir}"


def _copy_commands(connection: Connection) -> list[str]:
    folder = _source(connection)
    names = ["policy.yaml", "ca.crt", *connection.credential_files, "webhook.yaml"]
    return [f"install -d -m 0700 {folder}", f"install -m 0600 {' '.join(names)} {folder}/"]
