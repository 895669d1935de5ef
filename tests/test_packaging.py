"""The wheel and the source distribution: what is in them, how large they are, that they install."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

#: Bytes that the wheel may take.
MOST = 1_000_000
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def build(folder: Path, *targets: str) -> list[Path]:
    """Build distributions with the hatchling of this environment."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    options = [option for target in targets for option in ("-t", target)]
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return sorted(folder.iterdir())


def test_the_wheel_is_small_and_complete(tmp_path: Path) -> None:
    (wheel,) = build(tmp_path, "wheel")
    size = wheel.stat().st_size
    print(f"wheel: {size:,} bytes (bar {MOST:,})")
    assert size < MOST
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        described = archive.read(metadata).decode()
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "optsched").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    models = {f"optsched/models/{path.name}" for path in (ROOT / "models").iterdir()}
    assert names - {n for n in names if ".dist-info/" in n} == here | models
    assert "optsched/datasets/data/registry.xz" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert f"Version: {PROJECT['version']}" in described
    assert "License-Expression: Apache-2.0" in described


def test_the_source_distribution_is_complete(tmp_path: Path) -> None:
    (source,) = build(tmp_path, "sdist")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "Makefile", "mkdocs.yml")
    parts = ("tests/test_packaging.py", "docs/index.md", "models/job_shop.mzn", "notebooks/run.py")
    for name in (*needed, *parts):
        assert name in names, name


def test_the_citation_names_this_version() -> None:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    facts = dict(line.split(": ", 1) for line in lines if ": " in line and line[0] not in " -")
    assert facts["cff-version"] == "1.2.0"
    assert facts["version"] == PROJECT["version"]
    assert facts["license"] == PROJECT["license"]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_it_installs_in_a_clean_environment_and_solves(target: str, tmp_path: Path) -> None:
    """Dependencies come from the package index; without one this cannot be tested."""
    (distribution,) = build(tmp_path / "dist", target)
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    outside = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "OPTSCHED_DATASETS", "VIRTUAL_ENV")
    }

    def run(*command: str, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(binaries / command[0]), *command[1:]],
            cwd=tmp_path, env=outside, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    pip = ("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    installed = run(*pip, str(distribution), timeout=900)
    if "No matching distribution found" in installed.stderr:
        pytest.skip("no package index: dependencies cannot be installed")
    assert installed.returncode == 0, installed.stderr
    solved = run("optsched", "solve", "ft10", "--time-limit", "400", timeout=500)
    assert solved.returncode == 0, solved.stderr
    assert "OPTIMAL  objective 930  bound 930" in solved.stdout + solved.stderr
    where = run("python", "-c", "import optsched; print(optsched.__file__)", timeout=60)
    assert str(tmp_path) in where.stdout
