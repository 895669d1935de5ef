"""Run the notebooks from top to bottom, in place; they keep their outputs.

Usage: python notebooks/run.py [--check] [NOTEBOOK ...]

By default all notebooks of this folder. ``--check`` runs their short version and writes nothing: it
only fails where a cell does.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent


def run(path: Path, *, check: bool) -> None:
    """Execute one notebook."""
    notebook = nbformat.read(path, as_version=4)
    began = time.perf_counter()
    folder = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=folder, record_timing=False
    ).execute()
    if not check:
        nbformat.write(notebook, path)
    print(f"{path.name}: {time.perf_counter() - began:.0f} s", flush=True)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="short version, nothing written")
    given = parser.parse_args()
    if given.check:
        os.environ["OPTSCHED_NOTEBOOK_SHORT"] = "1"
    began = time.perf_counter()
    for path in given.notebooks or sorted(FOLDER.glob("*.ipynb")):
        run(path, check=given.check)
    print(f"all together: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
