"""Write golden.jsonl.zst anew: what the API server's own evaluator answers to the questions.

Needs Go. `main.go` beside this file is built with the versions pinned in `go.mod` into
`${XDG_CACHE_HOME:-~/.cache}/tocsin/auditpolicy/<digest>/`, once.

    python -m tests.conformance.auditpolicy.generate
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import zstandard

from tests.conformance.auditpolicy.questions import questions

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.jsonl.zst"


def build() -> Path:
    """Return the program that asks the API server's code, after building it if need be."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((HERE / name).read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    program = Path(base) / "tocsin" / "auditpolicy" / digest.hexdigest()[:16] / "auditpolicy"
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
        partial = program.with_suffix(".partial")
        command = ["go", "build", "-trimpath", "-o", str(partial), "."]
        subprocess.run(command, cwd=HERE, env=environment, check=True)
        partial.rename(program)
    return program


def main() -> None:
    asked = [json.dumps(question) for question in questions()]
    done = subprocess.run(
        [str(build())], input="\n".join(asked), capture_output=True, text=True, check=True
    )
    answers = done.stdout.splitlines()
    lines = [
        json.dumps({**json.loads(question), **json.loads(answer)})
        for question, answer in zip(asked, answers, strict=True)
    ]
    GOLDEN.write_bytes(zstandard.compress("\n".join(lines).encode(), 19))
    print(f"{GOLDEN}: {len(lines)} policies")


if __name__ == "__main__":
    main()
