"""Decomposition at work for a session: what joins a family and the generic searches.

``solver="lns"`` and ``solver="rolling"`` run `optsched.search.lns` and `optsched.search.rolling` on
what the family says of its instances in its modules ``neighbourhoods`` and ``horizon``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from optsched.core import DeadlineExpired, InputError, ProvenInfeasible
from optsched.families import family_module
from optsched.numbers import integer, is_row
from optsched.result import StopReason
from optsched.search import lns, parallel, rolling, sub_solve
from optsched.session import Session
from optsched.solvers.base import Compiled, Verdict, unknown_option

#: Options of the large-neighbourhood search, with their defaults.
LNS_OPTIONS: dict[str, Any] = {
    "neighbourhoods": None,
    "size": lns.SIZE,
    "effort": lns.EFFORT,
    "max_steps": None,
    "sub_solves": "processes",
    "cpsat": {},
}
#: Options of the rolling horizon, with their defaults: as published.
ROLLING_OPTIONS: dict[str, Any] = {
    "window": 80,
    "step": 30,
    "overlap": None,
    "window_time": 60.0,
    "patience": 3.0,
    "effort": None,
    "tails": False,
    "cpsat": {},
}
#: How the rolling horizon is paced where it only has to find a first solution.
START = rolling.Pace(window=60, step=40, window_time=5.0, patience=0.3)


def check_options(
    solver: str, options: Mapping[str, Any], module: ModuleType | None = None
) -> None:
    """Raise `InputError` on an option that `solver` ("lns" or "rolling") does not have.

    Options of ``lns``: `neighbourhoods` (names; default all), `size` (items that are free at
    first), `effort` (deterministic seconds a sub-solve), `max_steps` (sub-solves), `sub_solves`
    ("here", "processes" or "ray"; processes are used from two workers on), `cpsat` (parameters).

    Options of ``rolling``: `window` and `step` (items), `overlap` (instead of `step`),
    `window_time` and `patience` (seconds; patience null: none), `effort` (deterministic seconds a
    window), `tails` (count what is left of each job), `cpsat` (parameters).

    The names of neighbourhoods are looked up in the family's `module`, where that is given.
    """
    known = LNS_OPTIONS if solver == "lns" else ROLLING_OPTIONS
    for name in options:
        if name not in known:
            raise unknown_option(solver, name, known)
    _cpsat_options(solver, options)
    if solver == "rolling":
        _pace(options)
        _flag(solver, "tails", options.get("tails", False))
        return
    _count(solver, "size", options.get("size", lns.SIZE))
    if options.get("max_steps") is not None:
        _count(solver, "max_steps", options["max_steps"], least=0)
    _positive(solver, "effort", options.get("effort", lns.EFFORT))
    place = options.get("sub_solves", "processes")
    if place not in parallel.PLACES:
        raise InputError(f"lns: sub_solves {place!r}: one of {', '.join(parallel.PLACES)}")
    names = options.get("neighbourhoods")
    if names is None:
        return
    if not names or not is_row(names) or not all(isinstance(name, str) for name in names):
        raise InputError(f"lns: neighbourhoods {names!r}: expected a list of names")
    for name in names:
        if module is not None and name not in module.NEIGHBOURHOODS:
            there = ", ".join(module.NEIGHBOURHOODS)
            raise InputError(f"lns: unknown neighbourhood {name!r}: one of {there}")


def run(
    solver: str,
    session: Session,
    module: ModuleType,
    *,
    workers: int,
    seed: int,
    options: Mapping[str, Any],
) -> StopReason:
    """Run ``lns`` or ``rolling`` into the session; `module` is the family's."""
    if solver == "rolling":
        return run_rolling(session, module, workers=workers, seed=seed, options=options)
    return run_lns(session, module, workers=workers, seed=seed, options=options)


def run_rolling(
    session: Session,
    module: ModuleType,
    *,
    workers: int,
    seed: int,
    options: Mapping[str, Any],
    pace: rolling.Pace | None = None,
) -> StopReason:
    """Roll over the instance once.

    Parameters
    ----------
    session : Session
    module : module
        With ``horizon(problem, seed=, tails=, deadline=)`` of the family.
    workers, seed : int
    options : mapping
        See `check_options`.
    pace : rolling.Pace, optional
        Instead of what the options say.
    """
    horizon = module.horizon(
        session.problem,
        seed=seed,
        tails=bool(options.get("tails", False)),
        deadline=session.deadline,
    )
    switch = sub_solve.Switch(session)

    def solve_window(
        build: Callable[[], Compiled], limits: sub_solve.Limits
    ) -> tuple[Verdict, Any]:
        found: list[Any] = []
        try:
            compiled = build()
        except ProvenInfeasible:
            return Verdict.INFEASIBLE, None
        with switch.registering() as when_stopped:
            verdict = sub_solve.solve_part(
                compiled,
                limits,
                seed=seed,
                workers=workers,
                stopped=lambda: session.stopped,
                when_stopped=when_stopped,
                on_solution=found.append,
                options=options.get("cpsat"),
            )
        return verdict, found[-1] if found else None

    try:
        return rolling.run(session, horizon, solve_window, pace=pace or _pace(options))
    except DeadlineExpired:
        return StopReason.TIME


def run_lns(
    session: Session,
    module: ModuleType,
    *,
    workers: int,
    seed: int,
    options: Mapping[str, Any],
) -> StopReason:
    """Improve the session's incumbent; where there is none, the rolling horizon makes one.

    Parameters
    ----------
    session : Session
    module : module
        With ``NEIGHBOURHOODS`` (the names), ``neighbourhoods(problem)``, ``items(problem)`` and
        ``part(...)`` of the family.
    workers, seed : int
    options : mapping
        See `check_options`.
    """
    problem = session.problem
    chosen = dict(module.neighbourhoods(problem))
    if (names := options.get("neighbourhoods")) is not None:
        chosen = {name: chosen[name] for name in names}
    cpsat = options.get("cpsat")
    if session.solution is None:
        beginning = family_module(problem, "horizon")
        if beginning is not None:
            run_rolling(
                session, beginning, workers=workers, seed=seed, options={"tails": True}, pace=START
            )
        if session.solution is None:
            return session.outcome(StopReason.SOLVER)[1]
    place = options.get("sub_solves", "processes")
    executor: parallel.Here | parallel.Processes | parallel.OnRay
    if place == "ray":
        executor = parallel.OnRay(session, module, cpsat)
    elif place == "processes" and workers > 1:
        executor = parallel.Processes(session, module, workers, cpsat)
    else:
        executor = parallel.Here(session, module, cpsat)
    try:
        return lns.run(
            session,
            chosen,
            executor,
            items=module.items(problem),
            seed=seed,
            size=int(options.get("size", lns.SIZE)),
            effort=float(options.get("effort", lns.EFFORT)),
            max_steps=options.get("max_steps"),
            parallel=1 if place == "here" else workers,
        )
    finally:
        executor.close()


def _pace(options: Mapping[str, Any]) -> rolling.Pace:
    chosen = ROLLING_OPTIONS | dict(options)
    window = _count("rolling", "window", chosen["window"])
    if chosen["overlap"] is not None:
        overlap = _count("rolling", "overlap", chosen["overlap"], least=0)
        if "step" in options and options["step"] != window - overlap:
            raise InputError(
                f"rolling: window {window} and overlap {overlap} make a step of "
                f"{window - overlap}, not {options['step']}"
            )
        step = window - overlap
    else:
        step = (
            min(_count("rolling", "step", chosen["step"]), window)
            if ("step" not in options)
            else _count("rolling", "step", chosen["step"])
        )
    seconds = [
        None
        if chosen[name] is None and name != "window_time"
        else _positive("rolling", name, chosen[name])
        for name in ("window_time", "patience", "effort")
    ]
    assert seconds[0] is not None
    return rolling.Pace(window, step, seconds[0], seconds[1], seconds[2])


def _cpsat_options(solver: str, options: Mapping[str, Any]) -> None:
    given = options.get("cpsat", {})
    if not isinstance(given, Mapping):
        raise InputError(f"{solver}: cpsat {given!r}: expected parameters by name")
    from optsched.solvers import cpsat

    cpsat.check_options(given, "")


def _count(solver: str, name: str, value: Any, *, least: int = 1) -> int:
    number = integer(value, f"{solver}: {name}")
    if number < least:
        raise InputError(f"{solver}: {name} {number} is less than {least}")
    return number


def _positive(solver: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise InputError(f"{solver}: {name} {value!r}: expected a number above 0")
    return float(value)


def _flag(solver: str, name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise InputError(f"{solver}: {name} {value!r} is neither true nor false")
