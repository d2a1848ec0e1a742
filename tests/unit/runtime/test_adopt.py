"""What is wrong with files that were made for another receiver."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.unit.cli.test_adopt import KUBECONFIG
from tocsin.runtime.adopt import kubeconfig, policy
from tocsin.runtime.adopt.files import Found
from tocsin.runtime.doctor.finding import Finding


def judged_kubeconfig(folder: Path, text: str) -> kubeconfig.Judged:
    path = folder / "webhook.yaml"
    path.write_text(text)
    return kubeconfig.judge(Found(path, text, {}))


def said(findings: Iterable[Finding]) -> str:
    return "\n".join(finding.what for finding in findings)


def test_address_is_where_the_api_servers_send(tmp_path: Path) -> None:
    for server, expected in (
        ("https://192.0.2.7:8080", "192.0.2.7:8080"),
        ("https://HOST:8080", "host:8080"),
        ("https://tocsin.example.com", "tocsin.example.com:443"),
        ("192.0.2.7:9443/audit", "192.0.2.7:9443"),
        ("https://[2001:db8::7]:8080", "[2001:db8::7]:8080"),
    ):
        judged = judged_kubeconfig(tmp_path, KUBECONFIG.replace("https://192.0.2.7:8080", server))
        assert judged.endpoint is not None
        assert judged.endpoint.host_port == expected
        assert judged.arrives


@pytest.mark.parametrize("server", ["https://h:0x", "https://[h:1", "https://u:p@h:1", "https://"])
def test_address_that_is_none(tmp_path: Path, server: str) -> None:
    judged = judged_kubeconfig(
        tmp_path, KUBECONFIG.replace("https://192.0.2.7:8080", f"'{server}'")
    )
    assert judged.endpoint is None
    assert not judged.arrives
    assert judged.findings[0].state == "fault"


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("https://192.0.2.7:8080", "http://192.0.2.7:8080", "sends without TLS"),
        ("insecure-skip-tls-verify: true", "certificate-authority: /x/ca.crt", "API server trusts"),
        ("insecure-skip-tls-verify: true", "tls-server-name: x", "API server trusts the node's"),
        ("192.0.2.7", "127.0.0.1", "is the control-plane node itself"),
        ("192.0.2.7", "tocsin.soc.svc", "is a service of the cluster"),
        ("server:", "proxy-url: http://p\n      server:", "`proxy-url` is not taken over"),
        (
            "insecure-skip-tls-verify: true",
            "certificate-authority-data: QUJD",
            "the certificate authority stands in the kubeconfig itself",
        ),
    ],
)
def test_slips_in_a_kubeconfig(tmp_path: Path, before: str, after: str, finding: str) -> None:
    judged = judged_kubeconfig(tmp_path, KUBECONFIG.replace(before, after))
    assert finding in said(judged.findings)
    assert judged.arrives is after.startswith(("127.0.0.1", "tocsin.soc.svc", "proxy-url"))


POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"


@pytest.mark.parametrize(
    ("rules", "finding"),
    [
        ("- {level: Metadata, verbs: [get]}", "it has no rule for everything else"),
        ("- {level: Request, verbs: [get]}\n- level: None", "rule 2 drops everything else"),
        ("- level: Request", "it records credentials: Secrets, tokens under review"),
        (
            "- level: RequestResponse",
            "it records credentials: Secrets, tokens of service accounts, tokens under review",
        ),
        ("- level: Metadata", "records the stage RequestReceived"),
        ("- {level: Metadata, verb: [get]}", "does not know: rules[0].verb"),
        ("- level: metadata", "rule 1 has the level 'metadata'"),
    ],
)
def test_slips_in_a_policy(tmp_path: Path, rules: str, finding: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY + rules)
    assert finding in said(policy.judge(path, ()).findings)
