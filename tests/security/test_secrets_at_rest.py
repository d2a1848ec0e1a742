"""Bar S21: what is secret in events is nowhere on the disk in a form that can be read.

Twenty kinds of places get a token each that is looked for afterwards: in the spool, the store,
the alert log, the quarantine, Tocsin's own log, its metrics, and what `tocsin alerts` prints.
"""

import base64
import random
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.robustness.harness import EXECUTABLE, Tocsin, environment, running
from tests.robustness.traffic import event_list

_random = random.Random(21)

# The data folder's own secrets are meant to be there.
KEYS = ("keys/spool.key", "pki/")
PUBLIC = ".crt"


def canary() -> str:
    """Return a token that is nowhere else."""
    return base64.b32encode(_random.randbytes(20)).decode().rstrip("=")


def jwt(secret: str) -> str:
    """Return a service account token around a secret."""
    return f"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrOHMifQ.{secret}"


def event(**fields: object) -> bytes:
    """Return an event, by default an allowed request of a person."""
    return msgspec.json.encode(
        {
            "level": "RequestResponse",
            "auditID": canary(),
            "stage": "ResponseComplete",
            "requestURI": "/api/v1/namespaces/shop/pods",
            "verb": "create",
            "user": {"username": "alice", "groups": ["system:authenticated"]},
            "sourceIPs": ["192.0.2.1"],
            "userAgent": "kubectl",
            "objectRef": {"resource": "pods", "namespace": "shop", "name": "p", "apiVersion": "v1"},
            "responseStatus": {"code": 201},
            "requestReceivedTimestamp": "2026-11-23T10:00:00.000000Z",
            "stageTimestamp": "2026-11-23T10:00:00.001000Z",
            "annotations": {"authorization.k8s.io/decision": "allow"},
        }
        | fields
    )


def pod(container: dict[str, object], **metadata: object) -> dict[str, object]:
    """Return a pod that alerts: privileged, and with the node's file system."""
    image = {"name": "c", "image": "busybox", "securityContext": {"privileged": True}}
    volumes = [{"name": "root", "hostPath": {"path": "/"}}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p", "namespace": "shop"} | metadata,
        "spec": {"containers": [image | container], "volumes": volumes, "hostPID": True},
    }


def secret(data: dict[str, str], **more: object) -> dict[str, object]:
    return {"kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "data": data} | more


def exec_uri(*command: str) -> str:
    words = "&".join(f"command={word}" for word in command)
    return f"/api/v1/namespaces/kube-system/pods/p/exec?{words}&container=c&stdin=true"


def events_with_secrets(tokens: list[str]) -> list[bytes]:
    """Return events that hold a secret each, and put these secrets into `tokens`."""

    def hide() -> str:
        tokens.append(canary())
        return tokens[-1]

    of_secret = {"resource": "secrets", "namespace": "kube-system", "name": "s", "apiVersion": "v1"}
    of_exec = {"resource": "pods", "subresource": "exec", "namespace": "kube-system", "name": "p"}
    of_token = {
        "resource": "serviceaccounts",
        "subresource": "token",
        "namespace": "kube-system",
        "name": "clusterrole-aggregation-controller",
    }
    of_csr = {
        "resource": "certificatesigningrequests",
        "name": "c",
        "apiGroup": "certificates.k8s.io",
    }
    service_token = {"type": "kubernetes.io/service-account-token"}
    return [
        event(objectRef=of_token, responseObject={"status": {"token": jwt(hide())}}),
        event(objectRef=of_token, requestObject={"spec": {"boundObjectRef": {"uid": hide()}}}),
        event(objectRef=of_secret, requestObject=secret({"password": _base64(hide())})),
        event(
            objectRef=of_secret,
            verb="update",
            requestObject=secret({"token": _base64(jwt(hide()))}, **service_token),
            responseObject=secret({"token": hide()}, **service_token),
        ),
        event(objectRef=of_secret, requestObject=secret({}, stringData={"key": hide()})),
        event(requestObject=pod({"env": [{"name": "DB_PASSWORD", "value": hide()}]})),
        event(requestObject=pod({"env": [{"name": "PLAIN", "value": hide()}]})),
        event(requestObject=pod({"args": [f"--password={hide()}"]})),
        event(
            requestObject=pod(
                {"command": ["sh", "-c", f"curl -H 'Authorization: Bearer {hide()}'"]}
            )
        ),
        event(requestObject=pod({}, annotations={_LAST_APPLIED: f'{{"token":"{hide()}"}}'})),
        event(requestObject=pod({}, annotations={"password": hide()})),
        event(requestObject=pod({}), userAgent=f"curl Authorization: Bearer {hide()}"),
        event(requestObject=pod({}), requestURI=f"/api/v1/pods?access_token={hide()}"),
        event(requestObject=pod({}), requestURI=f"/api/v1/pods?h=Bearer%20{hide()}"),
        event(requestObject=pod({}), auditID=jwt(hide())),
        event(requestObject=pod({}), annotations={"token": hide()}),
        event(verb="get", objectRef=of_exec, requestURI=exec_uri("mysql", f"--password={hide()}")),
        event(
            verb="get",
            objectRef=of_exec,
            requestURI=exec_uri("sh", "-c", f"TOKEN%3D{hide()}+env"),
        ),
        event(objectRef=of_csr, requestObject={"spec": {"request": _base64(hide())}}),
        # What is set aside:
        event(user=[hide()], requestObject=pod({})),
        event()[:-1] + b',"requestObject":{"token":"%s\xff"}}' % hide().encode(),
        b'{"token":"%s"' % hide().encode(),
    ]


_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def shapes(token: str) -> Iterator[bytes]:
    """Yield how a token may look on a disk: plain, and in Base64 at any offset."""
    yield token.encode()
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + token.encode())
        yield whole[4 if shift else 0 : -4]


def files_below(folder: Path) -> dict[str, Path]:
    """Return all files below a folder by relative path."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def hits(tokens: list[str], content: bytes) -> list[str]:
    """Return the tokens that can be found in a file."""
    return [token for token in tokens if any(shape in content for shape in shapes(token))]


def assert_nowhere(tocsin: Tocsin, tokens: list[str]) -> None:
    for name, path in files_below(tocsin.data).items():
        if not name.startswith(KEYS):
            assert hits(tokens, path.read_bytes()) == [], name
    assert hits(tokens, tocsin.log.read_bytes()) == []


def assert_private(folder: Path) -> None:
    """Compare the modes of everything in a data folder, made with no umask at all."""
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == 0o700, path
        elif path.suffix != PUBLIC:
            assert mode == 0o600, path


@pytest.mark.robustness
@pytest.mark.timeout(120)
def test_s21_no_secret_is_found_on_the_disk(tmp_path: Path) -> None:
    tokens: list[str] = []
    events = events_with_secrets(tokens)
    assert len(set(tokens)) > 20
    with running(tmp_path / "tocsin", {"builtin_rules": True}) as tocsin:
        assert tocsin.post(event_list(events[:-1])) == 200
        assert tocsin.post(events[-1]) == 200
        assert_nowhere(tocsin, tokens)
        tocsin.drain()
        tocsin.wait_for(
            lambda: tocsin.metrics()["tocsin_detect_quarantined_total"] >= 3, "not set aside"
        )
        pages = msgspec.json.encode(tocsin.readyz()) + repr(tocsin.metrics()).encode()
        assert hits(tokens, pages) == []
        assert_nowhere(tocsin, tokens)
        assert_private(tocsin.data)
        # Everything that alerts can quote is quoted; else the test would prove little.
        titles = {alert.rule.title for alert in tocsin.alerts()}
        print(len(tocsin.alerts()), "alerts:", ", ".join(sorted(titles)))
        assert len(tocsin.alerts()) > 20
        for command in (
            ["alerts", "--severity", "info"],
            ["alerts", "--severity", "info", "--json"],
        ):
            assert hits(tokens, output(tocsin, *command)) == []
        for process in reversed(tocsin.processes()):
            tocsin.kill(process)
        psutil.wait_procs(tocsin.processes(), 5)
        assert_nowhere(tocsin, tokens)
        tocsin.start()
        assert tocsin.stop()[0] == 0
        assert_nowhere(tocsin, tokens)
        assert_private(tocsin.data)
        # Whoever has the key finds them: the search is not blind.
        assert len(hits(tokens, b"".join(raw for _, raw in tocsin.quarantined()))) == 3


def output(tocsin: Tocsin, *command: str) -> bytes:
    """Return what a command of `tocsin` prints."""
    done = subprocess.run(
        [EXECUTABLE, *command, "--data", tocsin.data],
        capture_output=True,
        check=True,
        env=environment(tocsin.folder.parent) | {"COLUMNS": "10000"},
    )
    assert done.stdout
    return done.stdout + done.stderr
