"""What a report says in words, the same in HTML and in Markdown."""

from __future__ import annotations

import statistics

from optsched.bench.campaign import Campaign
from optsched.bench.metrics import SHIFT, TARGET

#: Column heads of the figures of a solver, with what they mean.
COLUMNS = (
    ("runs", "Runs; in brackets those that failed (crash, time-out, memory, refuted)."),
    ("solved", "Runs that found a solution; each has passed the independent checker."),
    ("proven", "Runs that ended with a proof: bound equals objective, or infeasible."),
    (
        "mean gap",
        "Mean of (objective - best known) / best known over the runs with a solution.",
    ),
    ("max gap", "The largest such gap."),
    (
        "bound gap",
        "Mean of (objective - bound) / objective, what a run itself leaves open.",
    ),
    (
        "primal integral",
        "Mean primal gap during the time limit (Berthold 2013): 100 % before the first "
        "solution, 0 % at the best known. Less is better; a failed run counts 100 %.",
    ),
    (
        "time to 1 %",
        f"Median of the seconds until the primal gap is at most {100 * TARGET:g} %; in brackets "
        "the runs that reach it.",
    ),
)
PROFILE = (
    "Performance profile (Dolan and Moré 2002) on the primal integral: the share of instances on "
    "which a solver is within a factor of the best solver there. Left end: how often it is the "
    f"best; right end: how often it comes near at all. Ratios are of integral + {100 * SHIFT:g} %, "
    "so that a zero can be compared. Of three or more solvers, read it as each against the best, "
    "not against one another."
)


def overhead(campaign: Campaign) -> str:
    """Return what the runner cost, in words."""
    values = sorted(row.overhead for row in campaign.rows if row.overhead is not None)
    if not values:
        return "No run ended by itself."
    return (
        f"Runner overhead, from handing over a job until all its processes are gone, beyond the "
        f"solver's own time: median {statistics.median(values):.3f} s, "
        f"99 % below {values[int(0.99 * (len(values) - 1))]:.3f} s, at most {values[-1]:.3f} s."
    )


def conditions(campaign: Campaign) -> list[str]:
    """Return on what the runs were made, a sentence each."""
    limits = " and ".join(f"{limit:g} s" for limit in sorted(campaign.limits))
    workers = " and ".join(map(str, sorted(campaign.workers)))
    own = sum(row.label in campaign.own for row in campaign.rows)
    found = [
        f"{own} runs on {len(campaign.instances)} instances, {limits} and {workers} workers a "
        f"run, {campaign.began[:16].replace('T', ' ')} to "
        f"{campaign.ended[:16].replace('T', ' ')} UTC.",
        *(f"Machine: {machine} ({n} runs)." for machine, n in campaign.machines.most_common()),
        *(f"Versions: {versions} ({n} runs)." for versions, n in campaign.versions.most_common()),
    ]
    if campaign.loads:
        found.append(
            f"Load average at the start of runs: median {statistics.median(campaign.loads):.2f}, "
            f"at most {max(campaign.loads):.2f}."
        )
    return [*found, overhead(campaign), *campaign.notes]
