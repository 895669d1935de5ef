"""The shipped peers, on small instances; all they return passes our checker."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_tools import campaign, records, write_suite

from optsched.bench.peers import find_peer, read_header
from optsched.bench.suite import suite_folders
from optsched.bench.verify import verify
from optsched.core import InputError

FLEXIBLE = '{ generator = "job_shop", jobs = 4, machines = 3, flexible = 2, seeds = [1] }'


def installed(name: str) -> bool:
    try:
        find_peer(name, suite_folders()[0]).python()
    except InputError:
        return False
    return True


needs_pyjobshop = pytest.mark.skipif(
    not installed("pyjobshop"), reason="PyJobShop is not installed: make peers"
)


@pytest.mark.parametrize(
    ("peer", "instances"),
    [
        ("plain-cpsat", f'"ft06", {FLEXIBLE}'),
        ("plain-highs", '"ft06"'),
        pytest.param("pyjobshop", f'"ft06", {FLEXIBLE}', marks=needs_pyjobshop),
    ],
)
def test_shipped_peers(tmp_path: Path, peer: str, instances: str) -> None:
    path = write_suite(tmp_path, f'peer = "{peer}"', instances=instances, limit=10)
    campaign(path, tmp_path / "out", jobs=1)
    lines = records(tmp_path / "out")
    assert [(line["outcome"], line["status"]) for line in lines] == [("done", "OPTIMAL")] * len(
        lines
    )
    assert lines[0]["objective"] == lines[0]["bound"] == 55
    assert all(len(line["trace"]) > 1 for line in lines)
    assert verify(tmp_path / "out").problems == []


@pytest.mark.parametrize("peer", ["plain-cpsat", "plain-highs"])
def test_peers_stop_in_time(tmp_path: Path, peer: str) -> None:
    path = write_suite(tmp_path, f'peer = "{peer}"', instances='"ft10"', limit=0.5)
    campaign(path, tmp_path / "out")
    (line,) = records(tmp_path / "out")
    assert line["outcome"] == "done"
    assert line["time"] < 3
    assert line["status"] in ("FEASIBLE", "UNKNOWN")
    assert verify(tmp_path / "out").problems == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("PEER = {'name': 'x'}", "needs name and families"),
        ("PEER = dict(name='x')", "must be a literal"),
        ("PEER = {'name': 'x', 'families': [], 'colour': 1}", "unknown keys: colour"),
        ("PEER = {", "not an adapter"),
    ],
)
def test_bad_headers(tmp_path: Path, source: str, words: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_header(path)
    path.write_text("x = 1\n", encoding="utf-8")
    assert read_header(path) is None
