from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from bench_tools import campaign, cli, records, start, write_suite

from optsched.bench.hosting import survivors
from optsched.bench.verify import verify
from optsched.core import InputError

TIGHT = "grace = 0.5"


def gone(out: Path, seconds: float = 5) -> bool:
    """Return whether no process of a campaign is left after some seconds."""
    deadline = time.monotonic() + seconds
    while survivors(str(out.resolve())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not survivors(str(out.resolve()))


def test_records(tmp_path: Path) -> None:
    path = write_suite(tmp_path, 'peer = "toy"', 'solver = "heuristic"', extra="seeds = [0, 1]")
    summary, _ = campaign(path, tmp_path / "out")
    assert (summary.total, summary.before, summary.now) == (8, 0, 8)
    lines = records(tmp_path / "out")
    assert {line["outcome"] for line in lines} == {"done"}
    assert len({line["key"] for line in lines}) == 8
    assert {line["label"] for line in lines} == {"toy", "heuristic"}
    for line in lines:
        assert line["solution"]["start"]
        assert line["trace"]
        assert {"optsched", "python"} <= line["versions"].keys()
        assert {"cpu", "cores", "memory_gib"} <= line["machine"].keys()
        assert 0 <= line["overhead"] < 2
        assert line["wall"] >= line["time"]
        assert line["peak_rss"] > 2**20
    assert (tmp_path / "out" / "suite.toml").read_text() == path.read_text()
    assert gone(tmp_path / "out")


def test_refused_arguments(tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    for options, words in (
        ({"jobs": 0}, "--jobs 0"),
        ({"executor": "rey"}, "did you mean ray"),
        ({"address": "here"}, "--address goes with"),
    ):
        with pytest.raises(InputError, match=words):
            campaign(path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_continues_and_runs_nothing_twice(tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    out = tmp_path / "out"
    assert campaign(path, out)[0].now == 2
    before = (out / "journal.jsonl").read_bytes()
    summary, text = campaign(path, out)
    assert (summary.before, summary.now) == (2, 0)
    assert "2 of 2 runs are in" in text
    assert (out / "journal.jsonl").read_bytes() == before
    # Another limit is another run; the first ones stay.
    longer = write_suite(tmp_path, limit=6)
    assert campaign(longer, out)[0].now == 2
    assert (out / "journal.jsonl").read_bytes().startswith(before)


@pytest.mark.parametrize(
    ("end", "outcome", "words"),
    [
        ("crash", "crash", "SIGSEGV): about to crash"),
        ("raise", "error", "ValueError: no luck"),
        ("memory", "memory", "MemoryError: all gone"),
        ("hang", "timeout", "killed after"),
        ("eat", "memory", "killed at 0."),
        ("lie", "refuted", "the solution's is"),
        ("host", "crash", "host died"),
        ("chatter", "done", ""),
    ],
)
def test_outcomes(tmp_path: Path, end: str, outcome: str, words: str) -> None:
    """Whatever a run does is recorded, and the campaign goes on."""
    extra = f"{TIGHT}\nmemory_limit = 0.15" if end == "eat" else TIGHT
    one = '{ generator = "job_shop", jobs = 2, machines = 2, seeds = [1] }'
    path = write_suite(
        tmp_path,
        f'label = "bad"\npeer = "toy"\noptions = {{ end = "{end}", children = 1 }}',
        'label = "good"\npeer = "toy"',
        instances=one,
        limit=0.5,
        extra=extra,
    )
    summary, text = campaign(path, tmp_path / "out")
    assert summary.now == 2
    bad, good = records(tmp_path / "out")
    assert (bad["outcome"], good["outcome"]) == (outcome, "done")
    assert words in bad["message"]
    if outcome in ("timeout", "crash", "memory"):
        assert bad["solution"] is None
    if end == "hang":
        assert bad["trace"]
        assert 0.9 < bad["wall"] < 3
    if outcome != "done":
        assert "failed 1" in text
    assert gone(tmp_path / "out")
    assert not (tmp_path / "out" / "tmp").exists()


def test_failures_are_repeated_on_request(tmp_path: Path) -> None:
    path = write_suite(tmp_path, 'peer = "toy"\noptions = { end = "raise" }')
    out = tmp_path / "out"
    campaign(path, out)
    assert campaign(path, out)[0].now == 0
    assert campaign(path, out, retry_failed=True)[0].now == 2


def test_oversubscription_warns(tmp_path: Path) -> None:
    path = write_suite(tmp_path, extra="workers = 64\nmemory_limit = 4000.0")
    _, text = campaign(path, tmp_path / "out", jobs=2)
    assert "warning: 2 jobs x 64 workers are more than the" in text
    assert "more than the memory" in text
    _, text = campaign(write_suite(tmp_path, limit=4), tmp_path / "out")
    assert "warning" not in text


def test_peer_that_is_not_installed(tmp_path: Path) -> None:
    path = write_suite(tmp_path, 'peer = "toy"', 'peer = "rare"')
    rare = tmp_path / "peers" / "rare.py"
    head = 'PEER = {"name": "rare", "families": ["job_shop"], "install": "make rare"}\n'
    rare.write_text(head + "import rarely_installed\n", encoding="utf-8")
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"rare cannot be started.*rarely_installed.*make rare"):
        campaign(path, out)
    assert records(out) == []
    summary, text = campaign(path, out, skip_missing=True)
    assert summary.outcomes == {"done": 2, "unavailable": 2}
    assert "recorded as unavailable" in text
    rare.write_text(head.replace("}", ', "environment": ".venv-rare"}'), encoding="utf-8")
    with pytest.raises(InputError, match="rare is not installed: run make rare"):
        campaign(path, tmp_path / "other")


def test_two_runners_do_not_share_a_folder(tmp_path: Path) -> None:
    path = write_suite(tmp_path, 'peer = "toy"\noptions = { sleep = 30 }', limit=40)
    out = tmp_path / "out"
    first = start("run", str(path), "--out", str(out))
    try:
        deadline = time.monotonic() + 120
        while not survivors(str(out.resolve())) and time.monotonic() < deadline:
            time.sleep(0.05)
        code, text = cli("run", str(path), "--out", str(out))
        assert code == 2
        assert "another campaign runs in this folder" in text
        # Ctrl-C ends it, tells how to go on, and records nothing of what was under way.
        first.send_signal(signal.SIGINT)
        text, _ = first.communicate(timeout=120)
        assert first.returncode == 130
        assert "the same command continues" in text
        assert records(out) == []
        assert gone(out)
    finally:
        first.kill()
        first.communicate()


def test_overhead(tmp_path: Path) -> None:
    """The bar is 0.5 s a run; here with room for a busy machine."""
    path = write_suite(tmp_path, 'solver = "heuristic"', 'peer = "toy"', extra="seeds = [0, 1]")
    campaign(path, tmp_path / "out")
    lines = records(tmp_path / "out")
    overheads = sorted(line["overhead"] for line in lines)
    assert overheads[len(overheads) // 2] < 0.5
    # From the beginning of a run to the next one's: journal and all.
    times = [time.mktime(time.strptime(line["began"][:19], "%Y-%m-%dT%H:%M:%S")) for line in lines]
    spent = sum(line["time"] for line in lines[:-1])
    assert times[-1] - times[0] - spent < 1 + 0.5 * len(lines)


def test_command_line(tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    out = tmp_path / "out"
    code, text = cli("run", str(path), "--out", str(out))
    assert code == 0
    assert "[1/2] random-3x2-1 toy seed 0  FEASIBLE" in text
    assert "2 of 2 runs are in" in text
    code, text = cli("verify", str(out))
    assert code == 0
    assert "2 solutions and 0 bounds checked, 0 faults" in text
    code, text = cli("report", str(out))
    assert code == 0
    assert "| toy | 2 | 2 | 0 |" in text


def kill_somewhere(
    tmp_path: Path, moments: list[float], *, everything: bool, seeds: list[int], third: str
) -> None:
    """Kill a campaign at these seconds after its start, again and again, then let it end."""
    two = '{ generator = "job_shop", jobs = 3, machines = 2, seeds = [1, 2, 3, 4] }'
    path = write_suite(
        tmp_path,
        'label = "a"\npeer = "toy"\noptions = { sleep = 0.03, children = 1 }',
        'label = "b"\npeer = "toy"\noptions = { sleep = 0.1 }',
        f'label = "c"\n{third}',
        instances=two,
        extra=f"seeds = {seeds}",
    )
    out = tmp_path / "out"
    arguments = ("run", str(path), "--out", str(out), "--jobs", "2")
    journal = out / "journal.jsonl"
    kept = b""
    for moment in moments:
        process = start(*arguments)
        time.sleep(moment)
        victims = [process.pid, *(survivors(str(out.resolve())) if everything else [])]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.communicate()
        assert gone(out), "an orphan stays"
        now = journal.read_bytes() if journal.exists() else b""
        assert now.startswith(kept), "something finished was lost"
        kept = now[: now.rfind(b"\n") + 1]
    assert kept, "no run was ever finished before a kill"
    code, text = cli(*arguments)
    assert code == 0, text
    assert journal.read_bytes().startswith(kept)
    keys = [record["key"] for record in records(out)]
    assert len(keys) == len(set(keys)) == 12 * len(seeds)
    assert {record["outcome"] for record in records(out)} == {"done"}
    assert verify(out).problems == []
    assert gone(out)


def test_killed_three_times(tmp_path: Path) -> None:
    kill_somewhere(tmp_path, [1.2, 2.5, 3.0], everything=False, seeds=[0, 1], third='peer = "toy"')


@pytest.mark.slow
@pytest.mark.parametrize("everything", [False, True])
def test_killed_at_random(tmp_path: Path, everything: bool) -> None:
    import random

    choice = random.Random(20 + everything)
    moments = [choice.uniform(0.5, 4) for _ in range(20)]
    kill_somewhere(
        tmp_path, moments, everything=everything, seeds=list(range(8)), third='solver = "heuristic"'
    )
