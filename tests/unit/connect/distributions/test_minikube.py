import os
import stat
import subprocess
from pathlib import Path

from tests.unit.connect.distributions.bundles import bundle, connection


def test_the_script_gives_all_flags_to_minikube(tmp_path: Path) -> None:
    made = connection("minikube")
    script = bundle(tmp_path, made) / "minikube/start.sh"
    program = tmp_path / "bin/minikube"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)

    ran = subprocess.run(
        ["sh", script, "-p", "my profile"],
        env={"PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    options = [f"--extra-config=apiserver.{flag.removeprefix('--')}" for flag in made.flags]
    assert ran.stdout.splitlines() == ["start", "-p", "my profile", *options]
    assert not [option for option in options if "audit-log" in option]


def test_files_lie_where_the_pod_looks(tmp_path: Path) -> None:
    text = (bundle(tmp_path, connection("minikube")) / "README.txt").read_text()
    assert "~/.minikube/files/etc/ssl/certs/tocsin/" in text
    script = (tmp_path / "out/minikube/start.sh").read_text()
    assert "audit-policy-file=/etc/ssl/certs/tocsin/policy.yaml" in script
