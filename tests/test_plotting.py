"""Pictures: the files are what their suffix says, every operation is drawn, errors are named."""

from __future__ import annotations

import importlib
import itertools
import re
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optsched.core import InputError, MissingExtraError
from optsched.plotting import Picture, Spans, check_path, convergence, gantt
from optsched.plotting.common import PALETTE, colour
from optsched.problems.job_shop.picture import picture
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.result import Event, Result, Status, StopReason

# By `from ... import gantt` one gets the function.
gantt_module = importlib.import_module("optsched.plotting.schedule_chart")
JOBS = [[(0, 3), (1, 2)], [(1, 4), (0, 1)]]
START = JobShopSolution([0, 4, 0, 4], [0, 1, 1, 0])
STATIC = (".png", ".svg", ".pdf")


def dispatch(problem: JobShop, seed: int = 0) -> JobShopSolution:
    """Return a schedule by dispatching jobs at random."""
    machine = problem.alt_machine[problem.alt_offset[:-1]]
    duration = problem.alt_duration[problem.alt_offset[:-1]]
    start = np.zeros(problem.n_ops, dtype=int)
    job_free, machine_free = problem.release.copy(), np.zeros(problem.n_machines, dtype=int)
    following = problem.job_offset[:-1].copy()
    for j in np.random.default_rng(seed).permutation(problem.op_job):
        op = following[j]
        following[j] += 1
        start[op] = max(job_free[j], machine_free[machine[op]])
        job_free[j] = machine_free[machine[op]] = start[op] + duration[op]
    return JobShopSolution(start, machine)


def random_shop(n_jobs: int, n_machines: int, **options: Any) -> JobShop:
    rng = np.random.default_rng(7)
    jobs = [
        [(int(m), int(rng.integers(1, 99))) for m in rng.permutation(n_machines)]
        for _ in range(n_jobs)
    ]
    return JobShop(jobs, **options)


@pytest.fixture(scope="module")
def large() -> tuple[JobShop, JobShopSolution]:
    problem = random_shop(100, 20, name="large")
    return problem, dispatch(problem)


def rich() -> tuple[JobShop, JobShopSolution]:
    """Return a shop with everything that a picture can show."""
    problem = JobShop(
        [[(0, 4), (1, 3), (2, 2)], [(1, 2), (0, 5), (2, 1)], [(0, 2), (2, 0)]],
        objective="total_weighted_tardiness", due=[8, 20, 9], deadline=[None, 90, 99],
        calendars={0: [(2, 4), (15, 20)], 2: [(40, 50)]}, resumable=True, release=[0, 1, 2],
        buffers=[["none"] * 3, ["unlimited"] * 3, ["unlimited"] * 2], name="<b>$x$ & \\foo",
    )  # fmt: skip
    return problem, JobShopSolution([0, 7, 10, 1, 7, 12, 12, 14], [0, 1, 2, 1, 0, 2, 0, 2])


def layers(figure: Any) -> dict[str, int]:
    """Return how many shapes each layer of a matplotlib chart has."""
    found = figure.axes[0].collections
    return {layer.get_gid(): len(layer.get_paths()) for layer in found if layer.get_gid()}


def html_bars(problem: JobShop, solution: JobShopSolution) -> list[Any]:
    figure = gantt_module.interactive(picture(problem, solution), ["title"])
    return [trace for trace in figure.data if trace.meta == "bars"]


def check_file(path: Path) -> None:
    data = path.read_bytes()
    if path.suffix.lower() == ".png":
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
    elif path.suffix == ".pdf":
        assert data.startswith(b"%PDF")
    elif path.suffix == ".svg":
        assert ElementTree.fromstring(data).tag.endswith("svg")
    else:
        text = data.decode()
        assert text.startswith("<!doctype html>")
        assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)\s*=", text[:5000])
        assert not re.search(r"<script[^>]*\ssrc\s*=\s*[\"']?https?:", text)
        assert '"showSendToCloud": false' in text
        assert "Plotly.newPlot" in text


@pytest.mark.parametrize("suffix", [*STATIC, ".html", ".PNG"])
def test_gantt_writes_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"chart{suffix}"
    assert gantt(JobShop(JOBS), START, path) == path
    check_file(path)


@pytest.mark.parametrize("suffix", [*STATIC, ".html"])
def test_gantt_of_everything(tmp_path: Path, suffix: str) -> None:
    problem, solution = rich()
    check_file(gantt(problem, solution, str(tmp_path / f"chart{suffix}")))


def test_gantt_returns_a_figure_of_its_own() -> None:
    figure = gantt(JobShop(JOBS, name="tiny"), START)
    assert layers(figure) == {"bars": 4}
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "tiny: makespan 6"
    assert {text.get_text() for text in figure.axes[0].texts} == {"J0", "J1"}
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_gantt_title() -> None:
    figure = gantt(JobShop(JOBS, name="tiny"), START, title="Mine: $5")
    assert [text.get_text() for text in figure.texts] == [
        "Mine: $5",
        "makespan 6, job shop, 2 jobs, 2 machines, 4 operations",
    ]


def test_bars_lie_where_the_schedule_says() -> None:
    problem, solution = rich()
    bars = next(c for c in gantt(problem, solution).axes[0].collections if c.get_gid() == "bars")
    boxes = [path.get_extents() for path in bars.get_paths()]
    assert [box.x0 for box in boxes] == solution.start.tolist()
    assert [box.x1 for box in boxes] == problem.completion(solution).tolist()
    assert [(box.y0 + box.y1) / 2 for box in boxes] == pytest.approx(solution.machine.tolist())


def test_layers_of_everything() -> None:
    problem, solution = rich()
    # The schedule ends at 14, before two of the breaks. Job 0 waits on machine 0 until 7.
    assert layers(gantt(problem, solution)) == {
        "breaks": 1, "break-hatches": 1, "bars": 8, "holds": 1,
    }  # fmt: skip
    holds = picture(problem, solution).holds
    assert (holds.row[0], holds.start[0], holds.end[0], holds.group[0]) == (0, 6, 7, 0)


def test_hold_counts_lag_and_transport() -> None:
    problem = JobShop(
        [[(0, 3), (1, 2)], [(0, 3), (1, 2)]], buffers="none", lags=[[1, 0], [1, 0]],
        transport=[[0, 2], [2, 0]],
    )  # fmt: skip
    holds = picture(problem, JobShopSolution([0, 8, 10, 16], [0, 1, 0, 1])).holds
    assert (holds.start.tolist(), holds.end.tolist()) == ([3], [5])


def test_due_dates_and_hover() -> None:
    problem, solution = rich()
    drawn = picture(problem, solution)
    assert drawn.marks.start.tolist() == [8, 20, 9]
    assert drawn.marks.end.tolist() == [12, 13, 14]
    assert drawn.marks.row.tolist() == [2, 2, 2]
    assert "4 late" in drawn.marks.text[0]
    assert "7 early" in drawn.marks.text[1]
    texts = [text for trace in html_bars(problem, solution) for text in trace.hovertext]
    for part in ("<b>job 0</b>", "machine: M0", "operation: 0", "start: 0", "end: 6",
                 "duration: 4", "paused by breaks: 2", "due date: 8", "tardiness: 4"):  # fmt: skip
        assert part in texts[0]
    assert "deadline" not in texts[0]
    assert "deadline: 90" in texts[3]


def test_infeasible_schedules_are_marked() -> None:
    drawn = picture(JobShop(JOBS), JobShopSolution([0, 0, 0, 4], [0, 1, 1, 0]))
    assert drawn.warning == "infeasible: 2 violations"
    assert not picture(JobShop(JOBS), START).warning


@pytest.mark.parametrize("suffix", [".png", ".svg", ".html"])
def test_large_schedules(
    tmp_path: Path, large: tuple[JobShop, JobShopSolution], suffix: str
) -> None:
    check_file(gantt(*large, tmp_path / f"large{suffix}"))


def test_every_operation_is_a_bar(large: tuple[JobShop, JobShopSolution]) -> None:
    assert layers(gantt(*large))["bars"] == 2000
    traces = html_bars(*large)
    assert len(traces) == 1
    assert len(traces[0].y) == 2000
    few = html_bars(JobShop(JOBS), START)
    assert [(trace.name, len(trace.y)) for trace in few] == [("job 0", 2), ("job 1", 2)]


def test_load_of_too_many_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_shop(12, 4)
    solution = dispatch(problem)
    monkeypatch.setattr(gantt_module, "MANY_BARS", 20)
    figure = gantt_module.interactive(picture(problem, solution), ["title"])
    (load,) = [trace for trace in figure.data if trace.meta == "load"]
    assert "48 operations are too many" in figure.layout.title.text
    edges, end = np.asarray(load.x), problem.completion(solution)
    for row in range(4):
        ops = np.flatnonzero(solution.machine == row)
        for k, (a, b) in enumerate(itertools.pairwise(edges)):
            overlap = np.minimum(end[ops], b) - np.maximum(solution.start[ops], a)
            share = 100 * np.maximum(overlap, 0).sum() / (b - a)
            assert load.z[row][k] == pytest.approx(share, abs=0.06)
            assert load.customdata[row][k] == (overlap > 1e-9).sum()


def test_idle_machines_and_zero_durations(tmp_path: Path) -> None:
    problem = JobShop([[(0, 0)]], n_machines=3)
    solution = JobShopSolution([0], [0])
    for suffix in (".png", ".html"):
        check_file(gantt(problem, solution, tmp_path / f"empty{suffix}"))


def test_another_family_needs_only_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    class Toy(JobShop):
        family = "toy"

    zero = np.zeros(2, dtype=np.int64)
    bars = Spans(zero, zero, zero + 5, np.array([0, 40]))
    module = types.ModuleType("optsched.problems.toy.picture")
    module.picture = lambda problem, solution: Picture(  # type: ignore[attr-defined]
        name="toy", objective="cost 1", rows=["only"], groups=["a"] * 41, bars=bars,
        labels=["", ""], details={}, row_title="crew",
    )  # fmt: skip
    with pytest.raises(InputError, match="family toy has no Gantt chart"):
        gantt(Toy(JOBS), START)
    monkeypatch.setitem(sys.modules, "optsched.problems.toy.picture", module)
    figure = gantt(Toy(JOBS), START)
    assert layers(figure) == {"bars": 2}
    assert figure.axes[0].get_ylabel() == "crew"


# ---- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solution", "message"),
    [
        (JobShopSolution([0], [0]), "start has 1 entries"),
        (JobShopSolution([0, 4, 0, 4], [0, 0, 1, 0]), "not eligible"),
        (None, "no solution"),
        ([0, 4, 0, 4], "expected a JobShopSolution, not list"),
    ],
)
def test_wrong_solutions(solution: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gantt(JobShop(JOBS), solution)


def test_wrong_problem() -> None:
    with pytest.raises(InputError, match="expected a problem, not list"):
        gantt(JOBS, START)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.html.gz"])
def test_unknown_suffix(tmp_path: Path, name: str) -> None:
    for draw in (lambda p: gantt(JobShop(JOBS), START, p), lambda p: convergence(EVENTS, p)):
        with pytest.raises(InputError, match=r"one of \.png, \.svg, \.pdf, \.html"):
            draw(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_unwritable(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        gantt(JobShop(JOBS), START, tmp_path / "absent" / f"a{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        gantt(JobShop(JOBS), START, tmp_path / f"folder{suffix}")
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        gantt(JobShop(JOBS), START, tmp_path / f"{'a' * 300}{suffix}")


def test_absent_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    for suffix, library in ((".png", "matplotlib"), (".html", "plotly")):
        message = re.escape(f"{library} is not installed: pip install 'optsched[plot]'")
        with pytest.raises(MissingExtraError, match=message):
            gantt(JobShop(JOBS), START, tmp_path / f"a{suffix}")
        with pytest.raises(MissingExtraError, match=message):
            convergence(EVENTS, tmp_path / f"a{suffix}")


def test_absent_libraries_are_noticed_before_a_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="plotly is not installed"):
        check_path("chart.html")
    with pytest.raises(MissingExtraError, match="matplotlib is not installed"):
        check_path(Path("chart.pdf"))


def test_libraries_are_not_imported_early() -> None:
    code = (
        "import sys, optsched.plotting, optsched.problems.job_shop.picture as p;"
        "bad = {'matplotlib', 'plotly'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_palette() -> None:
    assert len(set(PALETTE)) == len(PALETTE)
    assert colour(len(PALETTE) + 3) == PALETTE[3]


# ---- convergence ---------------------------------------------------------------------------

EVENTS = [
    Event(0.0, 120, None, "heuristic:MWKR"),
    Event(0.02, 120, 80, "cpsat"),
    Event(1.5, 100, 80, "tabu"),
    Event(4.0, 100, 95, "cpsat"),
    Event(9.0, 99, 99, "cpsat"),
]


def result(events: list[Event], time: float = 10.0) -> Result:
    last = events[-1] if events else Event(0, None, None, "")
    status = Status.OPTIMAL if events else Status.UNKNOWN
    return Result(
        status, StopReason.PROOF, last.objective, last.bound, None, tuple(events), time, "auto",
        0, 1, JobShop(JOBS, name="tiny"),
    )  # fmt: skip


def steps(figure: Any, name: str) -> tuple[list[float], list[float]]:
    (line,) = [line for line in figure.axes[0].lines if line.get_gid() == name]
    return list(line.get_xdata()), list(line.get_ydata())


@pytest.mark.parametrize("suffix", [*STATIC, ".html"])
def test_convergence_writes_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curve{suffix}"
    assert convergence(result(EVENTS), path, best_known=99) == path
    check_file(path)
    several = {"a": result(EVENTS), "b": EVENTS[:3], "c <&$": []}
    check_file(convergence(several, path, title="Two and $one"))


def test_convergence_steps() -> None:
    figure = convergence(result(EVENTS))
    assert steps(figure, "incumbent 0") == ([0.016, 1.5, 9, 10], [120, 100, 99, 99])
    assert steps(figure, "bound 0") == ([0.02, 4, 9, 10], [80, 95, 99, 99])
    assert figure.axes[0].get_xscale() == "log"
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["tiny: convergence", "optimal, objective 99, bound 99, auto, 10 s"]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["incumbent", "bound", "heuristic:MWKR", "tabu", "cpsat"]


def test_convergence_accepts_an_iterator_and_linear_time() -> None:
    figure = convergence(iter([Event(1.0, 8, None, "a"), Event(2.0, 7, None, "a")]))
    assert figure.axes[0].get_xscale() == "linear"
    assert steps(figure, "incumbent 0") == ([1, 2, 2], [8, 7, 7])


@pytest.mark.parametrize(
    "events",
    [
        [Event(0.0, 5, 5, "a")],
        [Event(0.0, None, 3, "a")],
        [Event(0.0, 0, None, "a"), Event(0.0001, -5, -9, "b")],
        [Event(0.1, 10**6, 1, "a"), Event(0.2, 2.5, 1.5, "b")],
        [Event(0.1 * k, 100 - k, k, f"lns:{k}") for k in range(30)],
        [Event(0.1 * k, 100 - k, k, f"part{k}") for k in range(30)],
    ],
)
def test_odd_traces(tmp_path: Path, events: list[Event]) -> None:
    for suffix in (".png", ".html"):
        check_file(convergence(events, tmp_path / f"odd{suffix}", best_known=4))


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "neither an incumbent nor a bound"),
        ({}, "neither an incumbent nor a bound"),
        ([Event(0.0, None, None, "a")], "neither an incumbent nor a bound"),
        (3, "expected a result or events, not int"),
        ("text", "expected a result or events, not str"),
        ({"x": [1]}, "x: expected events, not int"),
    ],
)
def test_wrong_traces(results: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convergence(results)


def test_wrong_best_known() -> None:
    with pytest.raises(InputError, match="best_known: nan"):
        convergence(EVENTS, best_known=float("nan"))
