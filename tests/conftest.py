"""What all tests share: a hypothesis profile without a clock, ways to run scripts and commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from optsched import cli

# Two busy cores make single examples slow; that is no defect of the code.
settings.register_profile("optsched", deadline=None, print_blob=True)
settings.load_profile("optsched")

# Background jobs ignore Ctrl-C, and their children inherit it: tests of Ctrl-C would wait forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., tuple[int, str, str]]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


def script_environment() -> dict[str, str]:
    """Return an environment in which a fresh interpreter finds this source tree."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``optsched`` with some arguments; return its exit code and what it printed."""

    def call(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["optsched", *map(str, arguments)])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Run source text as a script in a fresh interpreter; fail the test on a non-zero exit."""

    def run(source: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "script.py"
        script.write_text(source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=script_environment(),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
