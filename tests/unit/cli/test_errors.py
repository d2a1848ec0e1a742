"""What a person can put right is told in one sentence, with exit code 2 and no traceback.

Through the real program, because that is what people see.
"""

import ctypes
import fcntl
import socket
import subprocess
from pathlib import Path

import pytest

from tests.robustness.harness import EXECUTABLE, environment

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
# As an operator would have it, with everything in its place but one.
# Each starts Tocsin as a process of its own.
pytestmark = pytest.mark.robustness

CONFIG = "health: {port: 0}\nwebhook:\n  port: 0\n"


def run(folder: Path, *arguments: object, **more: object) -> str:
    """Return what the program says when it ends with code 2."""
    done = subprocess.run(
        [str(EXECUTABLE), *map(str, arguments)],
        capture_output=True,
        check=False,
        cwd=folder,
        # Byte code is kept, for these programs start many times.
        env=environment(folder.parent),
        text=True,
        timeout=60,
        **more,  # type: ignore[call-overload]
    )
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    said: str = done.stderr
    return said


def serve(folder: Path, config: str = CONFIG, *options: object, **more: object) -> str:
    """Return the sentence with which `tocsin serve` refuses to start."""
    (folder / "tocsin.yaml").write_text(config)
    said = run(folder, "serve", "--config", "tocsin.yaml", "--data", "data", *options, **more)
    assert said.startswith("tocsin: ")
    assert said.endswith("\n")
    assert said.count("\n") == 1
    return said.removeprefix("tocsin: ").rstrip()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            CONFIG + "  prot: 1\n",
            "tocsin.yaml:4: Object contains unknown field `prot` (webhook.prot)",
        ),
        ("webhok: {}\n", "tocsin.yaml:1: Object contains unknown field `webhok` (webhok)"),
        ("health:\n  port: 70000\n", "tocsin.yaml:2: Expected `int` <= 65535 (health.port)"),
        ("health: [\n", "tocsin.yaml:2: did not find expected node content"),
        (CONFIG + "rules: [none.yml]\n", "none.yml: no such rule file or folder"),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, config: str, said: str) -> None:
    assert serve(tmp_path, config) == said


@pytest.mark.timeout(60)
def test_a_port_out_of_range(tmp_path: Path) -> None:
    said = run(tmp_path, "serve", "--port", "70000")
    assert "65535" in said


@pytest.mark.timeout(60)
def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = serve(tmp_path, CONFIG, "--port", port)
    assert said.startswith(f"cannot listen on 127.0.0.1 port {port}: Address already in use")


@pytest.mark.timeout(60)
def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    tls = "  tls: {certificate: none.crt, key: none.key, client_ca: none-ca.crt}\n"
    assert "none.crt" in serve(tmp_path, CONFIG + tls)


@pytest.mark.timeout(60)
def test_a_key_of_the_spool_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "spool.key").write_text("secret")
    (tmp_path / "spool.key").chmod(0o600)
    said = serve(tmp_path, CONFIG + "spool_key: spool.key\n")
    assert said == "spool.key: not a key: 64 hexadecimal digits expected"


@pytest.mark.timeout(60)
def test_a_faulty_rule_file(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text("title: x\nid: x\n")
    said = serve(tmp_path, CONFIG + "rules: [rule.yml]\n")
    assert said.startswith("rule.yml:1: ")


@pytest.mark.timeout(60)
def test_a_data_folder_without_access(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    said = serve(tmp_path, preexec_fn=obey_permissions)
    assert said == "cannot make the folder data/pki: Permission denied"


def obey_permissions() -> None:
    """Take from a program of root's what lets it write anywhere."""
    prctl, drop = ctypes.CDLL(None).prctl, 24
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        prctl(drop, capability, 0, 0, 0)


@pytest.mark.timeout(60)
def test_the_data_folder_of_a_running_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        said = serve(tmp_path)
    assert said == "another Tocsin is running on data; stop it, or name another --data"


@pytest.mark.timeout(60)
def test_no_store_yet(tmp_path: Path) -> None:
    said = run(tmp_path, "alerts", "--data", "nowhere")
    assert said.startswith("tocsin: there is no store at nowhere/tocsin.db: ")
