"""Build the programs that hold our files against the distributions' own code.

One Go module each, pinned by the go.mod and go.sum in its folder. The programs land in
`${XDG_CACHE_HOME:-~/.cache}/tocsin/distributions/<digest of the module>/`.
"""

import hashlib
from pathlib import Path

from tests.e2e.controlplane import build

HERE = Path(__file__).parent


def program(name: str) -> Path:
    """Return the program of the module in the folder `name`, built if it is not there yet.

    Raises:
        BuildError: Go is missing, or the build failed.
    """
    module = build.Module(
        folder=HERE / name, path="", programs={name: "."}, stamped=(), version_variable=""
    )
    cache = build.cache_base() / "distributions" / _digest(module.folder)
    cache.mkdir(parents=True, exist_ok=True)
    with build.locked(cache / ".lock"):
        built = cache / name
        if not built.is_file():
            partial = cache / f"{name}.partial"
            build.go(module, "build", "-trimpath", "-o", str(partial), ".")
            partial.rename(built)
    return built


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]
