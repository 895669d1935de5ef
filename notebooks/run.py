"""Run the notebooks from top to bottom, in place; they keep their outputs.

Usage: python notebooks/run.py [--check] [NOTEBOOK ...]

By default all notebooks of this folder. ``--check`` runs their short version and writes nothing: it
only fails where a cell does. Otherwise a notebook whose instances are missing here, or that takes
longer than three minutes, fails and stays as it was.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

import optsched

FOLDER = Path(__file__).resolve().parent
#: Seconds that a notebook may take from top to bottom.
MOST_SECONDS = 180
#: One instance of each collection that the text of a notebook is about, if it runs without as well.
NEEDS = {"02_single_machine": ("smtt100/1", "smtt200/1", "smtt500/1")}


def lacking(names: Iterable[str]) -> list[str]:
    """Return why instances cannot be had here, those that can be left out."""
    reasons = []
    for name in names:
        try:
            optsched.load(name)
        except optsched.InputError as error:
            reasons.append(str(error))
    return reasons


def execute(path: Path) -> tuple[Any, float]:
    """Return a notebook with its outputs, and how many seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    began = time.perf_counter()
    folder = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=folder, record_timing=False
    ).execute()
    return notebook, time.perf_counter() - began


def run(path: Path, *, check: bool) -> bool:
    """Execute one notebook, and keep its outputs; return whether it is as it should be."""
    if not check and (reasons := lacking(NEEDS.get(path.stem, ()))):
        print(
            f"{path.name}: not run, as its text is about instances that are missing here: "
            f"{reasons[0]}; the outputs stay as they were",
            flush=True,
        )
        return False
    notebook, took = execute(path)
    print(f"{path.name}: {took:.0f} s", flush=True)
    if check:
        return True
    if took > MOST_SECONDS:
        print(f"{path.name}: more than {MOST_SECONDS} s; the outputs stay as they were", flush=True)
        return False
    nbformat.write(notebook, path)
    return True


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="short version, nothing written")
    given = parser.parse_args()
    if given.check:
        os.environ["OPTSCHED_NOTEBOOK_SHORT"] = "1"
    began = time.perf_counter()
    paths = given.notebooks or sorted(FOLDER.glob("*.ipynb"))
    failed = [path.name for path in paths if not run(path, check=given.check)]
    print(f"all together: {time.perf_counter() - began:.0f} s")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
