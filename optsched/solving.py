"""solve, stream and compile: one deadline, one verification, whatever solves.

A family is a folder of ``optsched.problems`` and its modules are found by name: ``heuristics``
(``construct``), ``bounds`` (``lower_bound``), a formulation a backend (``cpsat``, ``milp``), and
``search`` (``run``), the family's own algorithm. Each declares the features that it ``SUPPORTS``.
"""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from queue import SimpleQueue
from types import ModuleType
from typing import Any

from optsched.core import (
    Deadline,
    DeadlineExpired,
    InputError,
    Number,
    Problem,
    ProvenInfeasible,
)
from optsched.exact import asking, run_exact
from optsched.families import (
    DECOMPOSING,
    can_express,
    check_options,
    expressing,
    solver_module,
    solver_names,
)
from optsched.result import Event, Result, StopReason
from optsched.running import (
    available_cores,
    beside,
    check_limits,
    conclude,
    construct,
    prove_bounds,
)
from optsched.search import portfolio
from optsched.session import Session, hint_from
from optsched.solvers import MODULES
from optsched.solvers.base import Compiled, nearest


def solve(
    problem: Problem,
    solver: str = "auto",
    *,
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    hint: Any = None,
    gap_limit: float = 0.0,
    options: Mapping[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Result:
    """Solve `problem` and return the best checked solution, a proven bound, and why it ended.

    Parameters
    ----------
    problem : Problem
        The instance.
    solver : str
        ``"auto"`` (what is best for the family), ``"cpsat"``, ``"highs"``, ``"pulp"`` or
        ``"pulp:NAME"``, ``"native"`` (the family's own search), ``"lns"`` (large-neighbourhood
        search), ``"rolling"`` (rolling horizon), ``"heuristic"`` (constructive rules alone) or
        ``"heuristic:NAME"`` (one rule, where the family names its ``VARIANTS``).
    time_limit : float, optional
        Seconds for everything: heuristics, model building, solving. 0 returns the checked
        heuristic solution. Default: no limit.
    workers : int, optional
        Cores to use; default: those of this process.
    seed : int
        Same seed, one worker, same machine: same result, where a proof or a step count ends it.
    hint : Solution or dict, optional
        A feasible solution (or the data of one, or of a result) to start from; the result is
        never worse.
    gap_limit : float
        Stop once the relative gap is at most this.
    options : mapping, optional
        The solver's own options by name, such as ``{"linearization_level": 0}``.
    on_event : callable, optional
        Called with each `Event` as it comes, perhaps from another thread: keep it short.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        On an unknown solver, option or a hint that is no solution.
    CannotExpressError
        When the solver has no formulation of a feature; the message names those that have.
    VerificationError
        When a solver's answer is refuted by the checker.
    """
    task = _Task(
        problem, solver, time_limit, workers, seed, hint, gap_limit, options or {}, on_event
    )
    return task.run()


class Stream:
    """Iterator over the events of a solve that runs beside it; then `result` holds the outcome.

    `close`, or leaving a ``with`` block, stops the solve; so does forgetting the stream.
    """

    def __init__(self, task: _Task, queue: SimpleQueue[Event | None]) -> None:
        self._task = task
        self._queue = queue
        self._outcome: list[Result | BaseException] = []
        self._ended = threading.Event()
        threading.Thread(
            target=_stream_work, args=(task, queue, self._outcome, self._ended), daemon=True
        ).start()

    def __iter__(self) -> Iterator[Event]:
        while (event := self._queue.get()) is not None:
            yield event
        _ = self.result

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._task.session.interrupt()

    def close(self) -> None:
        """Stop the solve and wait for its end; `result` then holds the incumbent."""
        self._task.session.interrupt()
        self._ended.wait()

    @property
    def result(self) -> Result:
        """The outcome; waits for the end of the solve, and raises what it raised."""
        self._ended.wait()
        outcome = self._outcome[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def _stream_work(
    task: _Task,
    queue: SimpleQueue[Event | None],
    outcome: list[Result | BaseException],
    ended: threading.Event,
) -> None:
    try:
        outcome.append(task.run())
    except BaseException as error:
        outcome.append(error)
    ended.set()
    queue.put(None)


def stream(
    problem: Problem,
    solver: str = "auto",
    *,
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    hint: Any = None,
    gap_limit: float = 0.0,
    options: Mapping[str, Any] | None = None,
) -> Stream:
    """Solve as `solve` does, and iterate over incumbents and bounds as they come.

    Returns
    -------
    Stream
        Iterate over it for `Event`; its ``result`` is the `Result`.
    """
    queue: SimpleQueue[Event | None] = SimpleQueue()
    task = _Task(
        problem, solver, time_limit, workers, seed, hint, gap_limit, options or {}, queue.put
    )
    return Stream(task, queue)


def compile(problem: Problem, solver: str = "cpsat", **bounds: Number) -> Compiled:
    """Compile `problem` to one model, to look at it, export it or extend it by hand.

    Parameters
    ----------
    problem : Problem
        The instance.
    solver : str
        A solver with a formulation: ``"cpsat"``, ``"highs"`` or ``"pulp"``.
    **bounds
        ``lower_bound`` and ``upper_bound`` on the optimum, to tighten the model.

    Returns
    -------
    Compiled
        ``model`` is an OR-Tools ``CpModel`` or a PuLP ``LpProblem``; ``hint(solution)`` and
        ``decode(values)`` translate between its variables and solutions.
    """
    name = solver.partition(":")[0]
    if name not in MODULES:
        raise InputError(f"{solver!r} has no model{nearest(name, MODULES)}: {', '.join(MODULES)}")
    formulation = expressing(problem, name)
    compiled: Compiled = formulation.build(problem, **bounds)
    return compiled


def _best_way(problem: Problem) -> tuple[str, ModuleType | None]:
    """Return the solver that ``auto`` stands for, and the search to run beside it, if any.

    A family's own search goes alone where it proves optimality itself (``EXACT``), else beside
    CP-SAT; where it lacks a feature, large-neighbourhood search takes its place, if the family has
    neighbourhoods. Without either, CP-SAT goes alone, then MILP.
    """
    search = expressing(problem, "native") if can_express(problem, "native") else None
    if search is not None and getattr(search, "EXACT", False):
        return "native", None
    if can_express(problem, "cpsat"):
        if search is None and can_express(problem, "lns"):
            search = expressing(problem, "lns")
        return "cpsat", search if problem.integral else None
    return ("highs" if can_express(problem, "highs") else "cpsat"), None


class _Task:
    """One solve: its arguments checked, its session made, ready to run."""

    def __init__(
        self,
        problem: Problem,
        solver: str,
        time_limit: float | None,
        workers: int | None,
        seed: int,
        hint: Any,
        gap_limit: float,
        options: Mapping[str, Any],
        on_event: Callable[[Event], None] | None,
    ) -> None:
        check_limits(time_limit, workers, seed)
        if not 0 <= gap_limit < math.inf:
            raise InputError(f"gap_limit {gap_limit} is not a fraction of at least 0")
        name, _, variant = solver.partition(":")
        if name not in solver_names():
            raise InputError(
                f"unknown solver {solver!r}{nearest(name, solver_names())}: "
                f"one of {', '.join(solver_names())}"
            )
        companion = None
        if name == "auto":
            name, companion = _best_way(problem)
        self.problem = problem
        self.name = f"{name}:{variant}" if variant else name
        #: The search that runs beside the solver, where the two make a portfolio.
        self._companion = companion
        self.options = dict(options)
        self.seed = seed
        self.workers = workers or available_cores()
        self._module = expressing(problem, name)
        self._solver = solver_module(name) if name in MODULES else None
        self._variant = variant
        self._build = getattr(self._module, "build", None)
        if "formulation" in self.options and hasattr(self._module, "FORMULATIONS"):
            choice = self.options.pop("formulation")
            if choice not in self._module.FORMULATIONS:
                known = ", ".join(self._module.FORMULATIONS)
                raise InputError(f"unknown formulation {choice!r}: one of {known}")
            self._build = partial(self._module.build, formulation=choice)
        check_options(name, variant, self.options, self._module)
        checked = None if hint is None else hint_from(problem, hint)
        deadline = Deadline(time_limit)
        self.session = Session(problem, deadline, gap_limit=gap_limit, on_event=on_event)
        self._hint = checked

    def run(self) -> Result:
        session = self.session
        finished = StopReason.HEURISTIC
        try:
            if self._hint is not None:
                session.offer(self._hint, "hint")
            if session.deadline.limit == 0:
                self._construct()  # the rules come to their end, and nothing else begins
            else:
                finished = beside(session, self._work)
        except KeyboardInterrupt:
            session.interrupt()
        except DeadlineExpired:
            finished = StopReason.TIME
        except ProvenInfeasible as reason:
            session.prove_infeasible("presolve", str(reason))
        name = "auto" if self._companion else self.name
        return conclude(session, finished, solver=name, seed=self.seed, workers=self.workers)

    def _construct(self) -> None:
        rule = self._variant if self.name.startswith("heuristic:") else ""
        construct(self.session, self.seed, rule)

    def _work(self) -> StopReason:
        """Rules and bounds before search, then whatever was chosen."""
        self._construct()
        if not self.session.stopped:
            prove_bounds(self.session)
        return StopReason.HEURISTIC if self.session.stopped else self._search()

    def _portfolio(self, search: ModuleType) -> StopReason:
        """Native searches on about a third of the cores, the prover on the others.

        A search may say that it does better on all cores (``alone(problem)``), as in instances
        that are too large for a model; or that little will be proven (``patient(problem)``): then
        more of it runs, and the prover goes on raising the bound.
        """
        assert self._solver is not None
        assert self._build is not None
        session = self.session
        if hasattr(search, "alone") and search.alone(self.problem):
            return self._native(search, seed=self.seed, workers=self.workers)
        companion = self._native if hasattr(search, "run") else self._neighbouring
        patient = hasattr(search, "patient") and search.patient(self.problem)
        # Where little can be proven, two searches that differ find more than one of twice the time.
        count = max(2, self.workers // 2) if patient else max(1, self.workers // 3)
        at_work = set(range(count))

        def run_search(k: int, effort: float | None = None) -> None:
            try:
                companion(search, effort, seed=self.seed + k)
            finally:
                if effort is None:
                    at_work.discard(k)

        searches = [partial(run_search, k) for k in at_work]
        ask = asking(
            session,
            self._solver,
            self._build,
            source="cpsat",
            # A search that has come to its end leaves its core to the prover.
            workers=lambda: max(1, self.workers - len(at_work)),
            seed=self.seed,
            options=self.options,
            # Large-neighbourhood search finds many small improvements, late ones among them.
            loyal=companion == self._neighbouring,
        )
        return portfolio.run(
            session,
            searches,
            ask,
            source="cpsat",
            side_by_side=self.workers > 1,
            patient=patient,
        )

    def _native(
        self,
        search: ModuleType,
        effort: float | None = None,
        *,
        seed: int,
        workers: int | None = None,
    ) -> StopReason:
        extra: dict[str, Any] = {} if effort is None else {"effort": effort}
        known = inspect.signature(search.run).parameters
        if workers is not None and "workers" in known:
            extra["workers"] = workers
        if workers is None and "rest" in known:
            extra["rest"] = True
        reason: StopReason = search.run(self.problem, self.session, seed=seed, **extra)
        return reason

    def _neighbouring(
        self, module: ModuleType, effort: float | None = None, *, seed: int
    ) -> StopReason:
        """Large-neighbourhood search on one core; `effort` as in `portfolio.Search`."""
        from optsched import decomposing  # imports a solver

        options: dict[str, Any] = {}
        if effort is not None:
            options = {"effort": min(effort, 1.0), "max_steps": max(1, round(effort))}
        return decomposing.run_lns(self.session, module, workers=1, seed=seed, options=options)

    def _search(self) -> StopReason:
        if self._companion is not None:
            return self._portfolio(self._companion)
        if self._solver is not None and self._build is not None:
            return run_exact(
                self.session,
                self._solver,
                self._build,
                source=self.name,
                workers=self.workers,
                seed=self.seed,
                options=self.options,
                variant=self._variant,
            )
        if self.name == "native":
            return self._native(self._module, seed=self.seed, workers=self.workers)
        if self.name in DECOMPOSING:
            from optsched import decomposing  # imports a solver

            return decomposing.run(
                self.name,
                self.session,
                self._module,
                workers=self.workers,
                seed=self.seed,
                options=self.options,
            )
        return StopReason.HEURISTIC
