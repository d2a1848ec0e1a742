"""The programs that responses run."""

from pathlib import Path

from tocsin.runtime.doctor.commands import look

KUBECTL = """#!/bin/sh
case "$1" in
  version) echo '{"clientVersion":{"gitVersion":"v1.36.3"}}';;
  auth) cat "$KUBECONFIG" >&2; ANSWER;;
esac
"""


def kubectl(folder: Path, answer: str) -> list[tuple[str, str]]:
    path = folder / "kubectl"
    path.write_text(KUBECTL.replace("ANSWER", answer))
    path.chmod(0o755)
    (folder / "access").write_text("no such context")
    found = look("kubectl", [str(folder)], {"prod": folder / "access"})
    return [(finding.state, finding.what) for finding in found]


def test_version_and_rights(tmp_path: Path) -> None:
    assert kubectl(tmp_path, "echo yes") == [
        ("ok", f"{tmp_path}/kubectl is there, v1.36.3"),
        ("ok", "prod: the responder may delete pods"),
    ]
    assert kubectl(tmp_path, "echo no; exit 1")[1] == (
        "warning",
        "prod: the responder may not delete pods",
    )
    state, what = kubectl(tmp_path, "exit 1")[1]
    assert state == "warning"
    assert what.endswith("no such context")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    (finding,) = look("kubectl", [str(tmp_path)], {})
    assert finding.state == "fault"
    assert "kubernetes.io" in finding.mend
    (finding,) = look("script", [str(tmp_path)], {})
    assert "put script into" in finding.mend


def test_something_else_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "kubectl"
    path.write_text("#!/bin/sh\necho '[]'\n")
    path.chmod(0o755)
    (finding,) = look("kubectl", [str(tmp_path)], {})
    assert finding.state == "fault"
    assert "does not tell its version" in finding.what
