"""Peers: adapters in ``benchmarks/peers`` that run a rival on our instances.

An adapter is a Python file with a literal ``PEER = {...}`` at module level and
``run(job, emit) -> dict``; ``benchmarks/peers/README.md`` states the protocol. The header is read
without executing the file, since the rival may be installed in another environment than ours.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optsched.core import InputError, Problem
from optsched.solvers.base import nearest

_KEYS = {"name", "title", "families", "features", "environment", "install", "options"}


@dataclass(frozen=True)
class Peer:
    """The header of an adapter.

    Attributes
    ----------
    name, title : str
        As suites name it, and as people do.
    path : Path
        The adapter's file.
    families : tuple of str
        Families of problems that it takes.
    features : frozenset of str or None
        Features that it can express; None for all.
    environment : str
        Folder of the virtual environment that runs it, relative to the project; empty for ours.
    install : str
        The command that installs the rival.
    options : dict
        The options that it takes, with their defaults.
    """

    name: str
    title: str
    path: Path
    families: tuple[str, ...]
    features: frozenset[str] | None
    environment: str
    install: str
    options: dict[str, Any]

    def python(self) -> str:
        """Return the Python that runs the adapter.

        Raises
        ------
        InputError
            When its environment is not there.
        """
        if not self.environment:
            return sys.executable
        root = self.path.resolve().parents[2]
        python = root / self.environment / "bin" / "python"
        if not python.exists():
            raise InputError(f"peer {self.name} is not installed: run {self.install}")
        return str(python)

    def check_problem(self, problem: Problem) -> None:
        """Raise `InputError` on a problem that the peer cannot express."""
        if problem.family not in self.families:
            raise InputError(f"peer {self.name} does not take the family {problem.family}")
        if self.features is not None and (missing := problem.features() - self.features):
            raise InputError(f"peer {self.name} cannot express {', '.join(sorted(missing))}")

    def check_options(self, options: dict[str, Any]) -> None:
        """Raise `InputError` on options that the peer does not have."""
        for name in options:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise InputError(
                    f"peer {self.name}: unknown option {name!r}{nearest(name, self.options)}: "
                    f"it has {known}"
                )


def find_peer(name: str, beside: Path) -> Peer:
    """Return the peer called `name`; looked for beside the suites, here and in the project."""
    peers: dict[str, Peer] = {}
    for folder in _folders(beside):
        for path in sorted(folder.glob("*.py")):
            peer = read_header(path)
            if peer is not None:
                peers.setdefault(peer.name, peer)
    if name not in peers:
        known = ", ".join(peers) or "none found"
        raise InputError(f"unknown peer {name!r}{nearest(name, peers)}: {known}")
    return peers[name]


def _folders(beside: Path) -> list[Path]:
    root = Path(__file__).resolve().parents[2]
    candidates = (
        beside.resolve().parent / "peers",
        beside.resolve() / "peers",
        Path.cwd() / "benchmarks" / "peers",
        root / "benchmarks" / "peers",
    )
    return [folder for folder in dict.fromkeys(candidates) if folder.is_dir()]


def read_header(path: Path) -> Peer | None:
    """Return the peer that a file declares, None where it declares none."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not an adapter: {error}") from error
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["PEER"]:
            return _peer(path, node.value)
    return None


def _peer(path: Path, node: ast.expr) -> Peer:
    try:
        data: Any = ast.literal_eval(node)
    except ValueError as error:
        raise InputError(f"{path}: PEER must be a literal") from error
    if not isinstance(data, dict) or not {"name", "families"} <= data.keys():
        raise InputError(f"{path}: PEER needs name and families")
    if unknown := data.keys() - _KEYS:
        raise InputError(f"{path}: PEER has unknown keys: {', '.join(sorted(unknown))}")
    return Peer(
        name=data["name"],
        title=str(data.get("title", data["name"])),
        path=path,
        families=tuple(data["families"]),
        features=frozenset(data["features"]) if "features" in data else None,
        environment=data.get("environment", ""),
        install=data.get("install", ""),
        options=data.get("options", {}),
    )
