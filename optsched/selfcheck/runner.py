"""Many cases on several cores, each in a process that may crash or hang without harm."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from optsched.core import Deadline, InputError, OptschedError, Problem
from optsched.result import Status
from optsched.selfcheck.case import LIMIT, draw, examine, smallest
from optsched.selfcheck.compare import cross_checked, enumerated
from optsched.selfcheck.families import NAMES, family
from optsched.selfcheck.shrink import shrink
from optsched.solvers import worker
from optsched.solvers.base import Control
from optsched.solvers.base import Verdict as Ending

#: Seconds for all of one case, shrinking it included.
CASE_LIMIT = 900.0
#: Who tells of a crash or a hang.
SELF = "self-check"


@dataclass(frozen=True)
class CaseReport:
    """What came of one case, as it is sent between processes.

    Attributes
    ----------
    family : str
    case : int
        Its number within the family.
    ways : tuple of (way, decided, disagrees, seconds)
    cross_checked, enumerated, infeasible : bool
        Whether two independent methods, or enumeration, decided it; whether it has no solution.
    wrong : tuple of str
        The disagreements, in words.
    instance : dict or None
        The plain data of the instance, where there are any.
    shrunk : dict or None
        Those of a smallest instance.
    answers : tuple of str
        What is said of that one, a line each way.
    """

    family: str
    case: int
    ways: tuple[tuple[str, bool, bool, float], ...] = ()
    cross_checked: bool = False
    enumerated: bool = False
    infeasible: bool = False
    wrong: tuple[str, ...] = ()
    instance: dict[str, Any] | None = None
    shrunk: dict[str, Any] | None = None
    answers: tuple[str, ...] = ()


@dataclass
class WayTally:
    """Sums over the cases of one family that one way took part in."""

    cases: int = 0
    decided: int = 0
    disagreements: int = 0
    seconds: float = 0.0


@dataclass
class FamilyTally:
    """Sums over the cases of one family."""

    cases: int = 0
    cross_checked: int = 0
    enumerated: int = 0
    infeasible: int = 0
    disagreements: int = 0
    ways: dict[str, WayTally] = field(default_factory=dict)

    def add(self, report: CaseReport) -> None:
        """Count one case."""
        self.cases += 1
        self.cross_checked += report.cross_checked
        self.enumerated += report.enumerated
        self.infeasible += report.infeasible
        self.disagreements += bool(report.wrong)
        for name, decided, disagrees, seconds in report.ways:
            tally = self.ways.setdefault(name, WayTally())
            tally.cases += 1
            tally.decided += decided
            tally.disagreements += disagrees
            tally.seconds += seconds


def work(problem: Problem, case: int) -> CaseReport:
    """Examine the instance of a case, and shrink it when anything disagrees."""
    verdict = examine(problem, seed=case, case=case)
    counts = Counter(finding.way for finding in verdict.wrong)
    report: dict[str, Any] = {
        "ways": tuple((o.way, o.decided, o.way in counts, o.seconds) for o in verdict.outcomes),
        "cross_checked": cross_checked(verdict.outcomes),
        "enumerated": enumerated(verdict.outcomes),
        "infeasible": any(o.decided and o.status is Status.INFEASIBLE for o in verdict.outcomes),
    }
    if verdict.wrong:
        least = smallest(verdict, seed=case)
        report["wrong"] = tuple(map(str, verdict.wrong))
        report["instance"] = verdict.problem.to_dict()
        report["shrunk"] = least.problem.to_dict()
        report["answers"] = tuple(f"{o.way}: {o}" for o in least.outcomes)
    return CaseReport(problem.family, case, **report)


def serve(job: Any, emit: Callable[[str, Any], None], cancelled: Callable[[], bool]) -> Ending:
    """Work on one instance in a worker process; see `optsched.solvers.worker.remote`."""
    emit("solution", (work(*job), None))
    return Ending.OPTIMAL


def run(
    cases: int, seed: int, *, families: Sequence[str] = (), workers: int = 1
) -> Iterator[CaseReport]:
    """Examine random instances, and yield what comes of each, as they end.

    Parameters
    ----------
    cases : int
        How many, in turn of every family.
    seed : int
        Same seed, same instances.
    families : sequence of str
        Default: all.
    workers : int
        Processes.

    Raises
    ------
    InputError
        On an unknown family, or numbers out of range.
    """
    if cases < 1:
        raise InputError(f"cases {cases} is less than 1")
    if seed < 0:
        raise InputError(f"seed {seed} is negative")
    if workers < 1:
        raise InputError(f"workers {workers} is less than 1")
    names = [family(name).name for name in families or NAMES]
    # Cases are numbered family by family, so that each way gets its share of every one.
    turns = [(names[k % len(names)], seed, k // len(names)) for k in range(cases)]
    return _examined(turns, workers)


def _examined(jobs: list[tuple[str, int, int]], workers: int) -> Iterator[CaseReport]:
    ended: SimpleQueue[CaseReport | BaseException] = SimpleQueue()
    waiting = iter(jobs)
    lock, stop = threading.Lock(), threading.Event()

    def loop() -> None:
        try:
            while not stop.is_set():
                with lock:
                    job = next(waiting, None)
                if job is None:
                    return
                ended.put(_elsewhere(job, stop))
        except BaseException as error:
            ended.put(error)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for _ in jobs:
            report = ended.get()
            if isinstance(report, BaseException):
                raise report
            yield report
    finally:
        stop.set()
        for thread in threads:
            thread.join(5)


def _elsewhere(job: tuple[str, int, int], stop: threading.Event) -> CaseReport:
    """Have a worker process work on a case; a crash or a hang is a disagreement too."""
    name, seed, case = job
    problem = draw(name, seed, case)
    report, crash = _asked(problem, case, stop, CASE_LIMIT)
    if report is not None:
        return report
    told = crash or f"does not end within {CASE_LIMIT:g} s"
    shrunk = None
    if crash:  # what hangs is left as it is: each attempt would take as long again

        def crashes(smaller: Problem) -> bool:
            return bool(_asked(smaller, case, stop, LIMIT)[1])

        shrunk = shrink(family(name), problem, crashes).to_dict()
    return CaseReport(
        name, case, wrong=(f"{SELF}: {told}",), instance=problem.to_dict(), shrunk=shrunk
    )


def _asked(
    problem: Problem, case: int, stop: threading.Event, limit: float
) -> tuple[CaseReport | None, str]:
    """Return what a worker process says of an instance, or else of what it died, if it did."""
    deadline = Deadline(limit)
    found: list[CaseReport] = []
    control = Control(
        deadline=deadline,
        workers=1,
        seed=0,
        options={},
        variant="",
        hint=None,
        on_solution=lambda report, _: found.append(report),  # type: ignore[arg-type]
        on_bound=lambda _: None,
        stopped=lambda: stop.is_set() or deadline.expired(),
        when_stopped=lambda _: None,
    )
    crash = ""
    try:
        worker.remote(__name__, (problem, case), control)
    except OptschedError as error:
        crash = str(error)
    return (found[0], "") if found else (None, crash)
