"""What is wrong with the files that somebody brought, and what replaces them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.connect.connection import Connection
from tocsin.connect.manifest import unified_diff
from tocsin.connect.names import Endpoint
from tocsin.connect.prepare import Prepared
from tocsin.model.errors import TocsinError
from tocsin.rules.ir import Rule
from tocsin.runtime.adopt import kubeconfig, policy
from tocsin.runtime.adopt.files import Brought, Found
from tocsin.runtime.doctor.finding import Finding

_SECRET = "(not shown: your kubeconfig holds a key or a token)\n"  # noqa: S105 - says there is one


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found in each file; None where none was brought."""

    kubeconfig: kubeconfig.Judged | None
    policy: policy.Judged | None

    @property
    def findings(self) -> list[Finding]:
        """All findings, those of the kubeconfig first."""
        judged = (self.kubeconfig, self.policy)
        return [finding for one in judged if one is not None for finding in one.findings]

    @property
    def endpoint(self) -> Endpoint:
        """Where the API servers send today.

        Raises:
            TocsinError: no file says it.
        """
        endpoint = self.kubeconfig.endpoint if self.kubeconfig else None
        if endpoint is None:
            said = "".join(f"\n  {finding.what}" for finding in self.findings[:1])
            message = (
                "no file says where Tocsin is reached: add --advertise HOST:PORT"
                f"{said if self.kubeconfig else ''}"
            )
            raise TocsinError(message)
        return endpoint


def judge(brought: Brought, rules: Sequence[Rule]) -> Judgement:
    """Judge the files, the policy by what it keeps from these rules."""
    return Judgement(
        kubeconfig.judge(brought.kubeconfig) if brought.kubeconfig else None,
        policy.judge(brought.policy.path, rules) if brought.policy else None,
    )


def differences(brought: Brought, judgement: Judgement, prepared: Prepared) -> dict[str, str]:
    """Return what becomes of each file that was brought, by the name of the new one."""
    contents = {file.name: file.content.decode() for file in prepared.files if not file.secret}
    name = _kubeconfig_name(prepared.connection)
    found = {}
    if brought.kubeconfig and judgement.kubeconfig:
        secret = judgement.kubeconfig.secrets
        found[name] = _SECRET if secret else _difference(brought.kubeconfig, contents[name])
    if brought.policy:
        found["policy.yaml"] = _difference(brought.policy, contents["policy.yaml"])
    return found


def _kubeconfig_name(connection: Connection) -> str:
    return connection.kubeconfig_name(connection.nodes[0])


def _difference(brought: Found, new: str) -> str:
    return unified_diff(brought.text, new, brought.path.name)
