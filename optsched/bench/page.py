"""A report as one HTML file that needs nothing else: no script, font or picture from elsewhere."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from importlib import resources

from optsched.bench import charts, journal, words
from optsched.bench.campaign import Campaign
from optsched.bench.markdown import figures
from optsched.bench.tables import (
    Cell,
    Line,
    by_group,
    instance_lines,
    overall,
    percent,
    plain,
)

#: Failures listed.
FAILURES = 200


def page(campaign: Campaign) -> str:
    """Return the report as HTML."""
    folder = resources.files(__package__)
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    name = html.escape(campaign.name)
    lines = overall(campaign)
    body = [
        f"<header><h1>{name}</h1><button id='theme' type='button'>light or dark</button></header>",
        f"<p class='lead'>{html.escape(words.conditions(campaign)[0])}</p>",
        _notes(campaign),
        _legend(campaign),
        "<h2>All instances</h2>",
        _figures_table([("", "", lines)], campaign, best=True),
        "<div class='charts'>",
        _figure(
            charts.gap_over_time(campaign),
            "Mean primal gap against time, 100 % before the first solution.",
        ),
        _figure(charts.performance_profile(campaign), words.PROFILE),
        _figure(charts.proven_over_time(campaign), "Share of runs proven optimal against time."),
        _figure(
            charts.final_gaps(campaign),
            "Share of runs that end within a gap of the best known solution. Left end: at it.",
        ),
        "</div>",
        "<h2>By family and size</h2>",
        _figures_table(
            [(group, size or "all", part) for (group, size), part in by_group(campaign).items()],
            campaign,
        ),
        *_convergence(campaign),
        "<h2>By instance</h2>",
        _instances(campaign),
        _failures(campaign),
        "<h2>How it was measured</h2>",
        _list(words.conditions(campaign)),
        "<div class='charts'>",
        _figure(charts.load_chart(campaign), "Load average at the start of each run."),
        "</div>",
        "<h2>How to read</h2>",
        "<dl>"
        + "".join(
            f"<dt>{html.escape(head)}</dt><dd>{html.escape(meaning)}</dd>"
            for head, meaning in words.COLUMNS
        )
        + "</dl>",
    ]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{name}</title><style>{style}</style></head>\n<body><main>"
        + "\n".join(part for part in body if part)
        + f"</main>\n<script>{script}</script></body></html>\n"
    )


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>"


def _notes(campaign: Campaign) -> str:
    return f"<div class='note'>{_list(campaign.notes)}</div>" if campaign.notes else ""


def _legend(campaign: Campaign) -> str:
    buttons = [
        f"<button type='button' class='key s{k % 8}' data-series='{k}' aria-pressed='true'>"
        f"<i></i>{html.escape(label)}</button>"
        for k, label in enumerate(campaign.labels)
    ]
    return f"<nav class='legend'>{''.join(buttons)}</nav>"


def _figure(chart: str, caption: str) -> str:
    if not chart:
        return ""
    return f"<figure>{chart}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _figures_table(
    parts: list[tuple[str, str, list[Line]]], campaign: Campaign, *, best: bool = False
) -> str:
    place = not best
    heads = "".join(
        f"<th title='{html.escape(meaning, quote=True)}'>{html.escape(head)}</th>"
        for head, meaning in words.COLUMNS
    )
    where = "<th>family</th><th>size</th>" if place else ""
    rows = []
    for group, size, lines in parts:
        good = _best(lines)
        for k, line in enumerate(lines):
            series = campaign.labels.index(line.label)
            cells = figures(line)
            row = ""
            if place and k == 0:
                row += f"<td rowspan='{len(lines)}'>{html.escape(group)}</td>"
                row += f"<td rowspan='{len(lines)}'>{html.escape(size)}</td>"
            row += f"<td class='who s{series % 8}'><i></i>{html.escape(cells[0])}</td>"
            for column, cell in enumerate(cells[1:]):
                mark = " class='best'" if (line.label, column) in good else ""
                row += f"<td{mark}>{html.escape(cell)}</td>"
            first = " class='first'" if place and k == 0 else ""
            rows.append(f"<tr{first}>{row}</tr>")
    return (
        f"<div class='scroll'><table class='figures'><thead><tr>{where}"
        f"<th class='who'>solver</th>{heads}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _best(lines: list[Line]) -> set[tuple[str, int]]:
    """Return the cells (solver, column) that are the best of their column."""
    if len(lines) < 2:
        return set()
    most = max(line.solved for line in lines)
    measures: list[tuple[int, list[float | None]]] = [
        (2, [-line.proven for line in lines]),
        (3, [line.mean_gap for line in lines]),
        (4, [line.max_gap for line in lines]),
        (5, [line.mean_bound_gap for line in lines]),
        (6, [line.integral for line in lines]),
        (7, [line.target for line in lines]),
    ]
    found = set()
    for column, values in measures:
        known = [v for v in values if v is not None and math.isfinite(v)]
        # Where all are the same, nobody is the best.
        if known and (min(known) < max(known) or len(known) < len(lines)):
            for line, value in zip(lines, values, strict=True):
                # A gap over fewer instances is not the better one.
                if value == min(known) and (line.solved == most or column not in (3, 4, 5)):
                    found.add((line.label, column))
    return found


def _convergence(campaign: Campaign) -> list[str]:
    small = charts.convergence(campaign)
    if not small:
        return []
    which = ""
    if len(small) < len(campaign.instances):
        which = f" The {len(small)} instances on which most is left open."
    return [
        "<h2>Convergence</h2>",
        "<p>Incumbents, and bounds dashed, against time (logarithmic); the dotted line is the best "
        f"known objective.{which}</p>",
        f"<div class='small-charts'>{''.join(small)}</div>",
    ]


def _instances(campaign: Campaign) -> str:
    heads = "".join(
        f"<th class='s{k % 8}'><i></i>{html.escape(label)}</th>"
        for k, label in enumerate(campaign.labels)
    )
    rows = []
    for line in instance_lines(campaign):
        cells = "".join(_cell(cell) for cell in line.cells)
        rows.append(
            f"<tr><td>{html.escape(line.name)}</td><td>{html.escape(line.size)}</td>"
            f"<td>{html.escape(line.known)}</td>{cells}</tr>"
        )
    return (
        "<p>Best objective, the bound in brackets where it is not proven, and the mean gap to the "
        "best known. Click a head to sort by it.</p>"
        "<div class='scroll tall'><table class='sortable'><thead><tr><th>instance</th>"
        f"<th>size</th><th>best known</th>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td data-v='9'></td>"
    if cell.objective == plain(None):
        return f"<td data-v='8' class='bad'>{html.escape(cell.failure or 'no solution')}</td>"
    gap = 0.0 if cell.gap is None else cell.gap
    bound = "" if cell.proven else f" <small>({html.escape(cell.bound)})</small>"
    failure = f" <small class='bad'>{html.escape(cell.failure)}</small>" if cell.failure else ""
    more = f" <b>+{percent(gap)}</b>" if gap else ""
    mark = " class='proven'" if cell.proven else ""
    return f"<td data-v='{gap:.6f}'{mark}>{html.escape(cell.objective)}{bound}{more}{failure}</td>"


def _failures(campaign: Campaign) -> str:
    failed = [row for row in campaign.rows if row.outcome != journal.DONE]
    if not failed:
        return ""
    texts = [
        f"{row.instance}, {row.label}, seed {row.seed}: {row.outcome}: {row.message}"
        for row in failed[:FAILURES]
    ]
    if len(failed) > FAILURES:
        texts.append(f"and {len(failed) - FAILURES} more")
    return f"<h2>Failures</h2>{_list(texts)}"
