from __future__ import annotations

import html.parser
import re
import resource
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from bench_synthetic import write_campaign, write_journal
from bench_tools import cli
from conftest import script_environment

from optsched.bench.campaign import collect
from optsched.bench.markdown import markdown
from optsched.bench.page import page
from optsched.bench.svg import Axis, Curve, chart
from optsched.bench.tables import by_group, overall
from optsched.core import InputError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def test_figures(tmp_path: Path) -> None:
    lines = write_campaign(tmp_path, instances=4)
    lines[0]["outcome"], lines[0]["message"] = "crash", "died"
    write_journal(tmp_path, lines)
    campaign = collect(tmp_path)
    ours, theirs = overall(campaign)
    assert (ours.label, ours.runs, ours.failed, ours.solved) == ("ours", 4, 1, 3)
    assert (theirs.runs, theirs.failed, theirs.solved) == (4, 0, 4)
    assert ours.proven == sum(line["status"] == "OPTIMAL" for line in lines[2::2])
    best = {
        name: min(
            line["objective"]
            for line in lines
            if line["instance"]["name"] == name and line["outcome"] == "done"
        )
        for name in campaign.instances
    }
    gaps = [
        line["objective"] / best[line["instance"]["name"]] - 1
        for line in lines
        if line["label"] == "theirs"
    ]
    assert theirs.mean_gap == pytest.approx(sum(gaps) / 4)
    assert theirs.max_gap == pytest.approx(max(gaps))
    assert list(by_group(campaign)) == [("random", "4x3")]
    # A failed run counts as if nothing had been found.
    assert next(row for row in campaign.rows if row.outcome == "crash").integral == 1
    text = markdown(campaign)
    assert "random-4x3-0, ours, seed 0: crash: died" in text
    assert "| ours | 4 (1) | 3 |" in text


class _Balance(html.parser.HTMLParser):
    """Checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page(tmp_path: Path) -> None:
    lines = write_campaign(tmp_path, labels=("ours <b>", "theirs & co"), seeds=2)
    lines[0]["outcome"], lines[0]["message"] = "error", "<script>alert(1)</script>"
    write_journal(tmp_path, lines)
    text = page(collect(tmp_path))
    parser = _Balance()
    parser.feed(text)
    assert parser.open == []
    assert "ours <b>" in parser.text
    assert "<script>alert" not in text
    # It needs nothing from elsewhere.
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?\s*(https?:)?//""", text)
    assert "@import" not in text
    assert text.count("<svg") >= 4 + 3
    assert "nan" not in parser.text.lower().split()


def test_page_of_nothing_solved(tmp_path: Path) -> None:
    lines = write_campaign(tmp_path, labels=("ours",), instances=1)
    lines[0] |= {"outcome": "timeout", "solution": None, "objective": None, "bound": None}
    write_journal(tmp_path, lines)
    assert "not reached" not in page(collect(tmp_path))
    assert "timeout" in markdown(collect(tmp_path))


def test_against_another_campaign(tmp_path: Path) -> None:
    write_campaign(tmp_path / "new", instances=3)
    write_campaign(tmp_path / "old", instances=2, labels=("ours",))
    campaign = collect(tmp_path / "new", str(tmp_path / "old"))
    assert campaign.labels == ["ours", "theirs", "ours [old]"]
    assert len(campaign.of("ours [old]")) == 2
    page(campaign)
    (tmp_path / "empty").mkdir()
    for other, words in (("empty", "there is no journal"), ("nowhere", "there is no journal")):
        with pytest.raises(InputError, match=words):
            collect(tmp_path / "new", str(tmp_path / other))
    with pytest.raises(InputError, match="no result is published"):
        collect(tmp_path / "new", "published")


def test_against_published(tmp_path: Path) -> None:
    import random

    from bench_synthetic import made_up, random_schedule

    from optsched.bench.instances import resolve

    rng = random.Random(3)
    lines = []
    for name in ("ft10", "la01"):
        (instance,) = resolve(name, tmp_path)
        solution, objective = random_schedule(instance.problem(), rng)  # type: ignore[arg-type]
        lines.append(
            made_up(instance, "ours", 0, rng, solution=solution, objective=objective, bound=500)
        )
    write_journal(tmp_path, lines)
    campaign = collect(tmp_path, "published")
    assert campaign.labels[1:] == [
        "CP-SAT 9.15 [published]",
        "CP Optimizer 22.1 [published]",
        "OptalCP 2026.4 [published]",
    ]
    assert all(line.proven == 2 for line in overall(campaign)[1:])
    assert campaign.reference == {"ft10": 930, "la01": 666}
    assert any("600 s, 8 threads" in note for note in campaign.notes)
    assert campaign.traced() == ["ours"]
    page(campaign)
    assert "| ft10 | 10x10 | 930 |" in markdown(campaign)


def test_a_chart_follows_theme_and_legend() -> None:
    curve = Curve(3, np.array([0.01, 1.0, 30.0]), np.array([0.5, 0.1, 0.0]), "a < b", dashed=True)
    text = chart([curve], Axis(0.01, 30, "seconds", log=True), Axis(0, 1), title="One & two")
    root = ET.fromstring(text)
    assert root.get("aria-label") == "One & two"
    assert root.get("viewBox")
    (path,) = [e for e in root.iter() if (e.get("class") or "").startswith("curve")]
    assert path.get("class") == "curve s3 dashed"
    assert path.get("data-series") == "3"
    assert path[0].text == "a < b"
    assert "var(--faint)" in text
    assert "#0" not in text.replace("#030303", "")  # no colour of matplotlib's own


def test_a_chart_of_one_value_is_drawn() -> None:
    one = np.array([5.0])
    assert "<svg" in chart([Curve(0, one, one, "flat")], Axis(5, 5), Axis(5, 5))


def test_command(tmp_path: Path) -> None:
    write_campaign(tmp_path / "c")
    target, table = tmp_path / "report.html", tmp_path / "report.md"
    arguments = ["report", str(tmp_path / "c"), "--html", str(target), "--markdown", str(table)]
    code, text = cli(*arguments)
    assert code == 0, text
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert table.read_text(encoding="utf-8").startswith("# c\n")
    code, text = cli("report", str(tmp_path / "c"), "--html", str(tmp_path / "no" / "x.html"))
    assert code == 2
    assert "cannot be written" in text


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser(tmp_path: Path, dark: bool) -> None:
    """The page lays itself out without an error, in either theme, and is not blank."""
    write_campaign(tmp_path / "c", instances=6, labels=("ours", "theirs", "plain"))
    source = page(collect(tmp_path / "c"))
    probe = """<script>
    window.onerror = (text) => { document.title = 'error: ' + text; };
    window.onload = () => {
      document.querySelector('.key').click();
      document.querySelector('.sortable th:nth-child(4)').click();
      const wide = document.documentElement.scrollWidth <= window.innerWidth;
      const shown = [...document.querySelectorAll('svg')].every(
        (chart) => chart.getBoundingClientRect().height > 80);
      const hidden = document.querySelectorAll('.curve.hidden').length > 3;
      const ground = getComputedStyle(document.body).backgroundColor;
      document.title = ['probe', wide, shown, hidden, ground].join(' ');
    };
    </script></head>"""
    target = tmp_path / "report.html"
    target.write_text(source.replace("</head>", probe, 1), encoding="utf-8")
    picture = tmp_path / "report.png"
    profile = [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,2400"]
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, *profile, *theme]
    done = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", target.as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    ground = "rgb(20, 24, 27)" if dark else "rgb(251, 251, 249)"
    assert title.group(1) == f"probe true true true {ground}"
    subprocess.run(
        [*command, f"--screenshot={picture}", target.as_uri()],
        capture_output=True, timeout=90, check=True,
    )  # fmt: skip
    assert picture.stat().st_size > 50_000


@pytest.mark.slow
def test_ten_thousand_runs(tmp_path: Path) -> None:
    """The bar: a report of 10,000 runs under 30 s and 1 GB."""
    write_campaign(
        tmp_path / "c", instances=500, seeds=5, labels=("a", "b", "c", "d"), jobs=20, machines=15,
        events=60,
    )  # fmt: skip
    source = (
        "import sys; from optsched.cli import main; "
        f"sys.argv = ['optsched', 'bench', 'report', {str(tmp_path / 'c')!r}, "
        f"'--html', {str(tmp_path / 'r.html')!r}, '--markdown', {str(tmp_path / 'r.md')!r}]; "
        "main()"
    )
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", source], check=True, env=script_environment())
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"{seconds:.1f} s, {peak / 2**20:.0f} MiB")
    assert seconds < 30
    assert peak < 10**9
    assert (tmp_path / "r.html").stat().st_size < 20 * 10**6
