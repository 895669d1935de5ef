"""Formulations, searches and bounds are broken on purpose: the self-check notices every time."""

from __future__ import annotations

import functools

import pytest
from fault import Fault
from faults_packing import GPU_PACKING, MEMORY_TIERS, POD_PACKING, SCRATCHPAD, TENSOR_MEMORY
from faults_scheduling import JOB_SHOP, RCPSP, SINGLE_MACHINE

from optsched.core import Problem
from optsched.selfcheck.case import draw, enumerate_
from optsched.selfcheck.compare import Finding, disagreements
from optsched.selfcheck.families import family
from optsched.selfcheck.outcome import Outcome
from optsched.selfcheck.ways import ways

FAULTS = [
    *JOB_SHOP, *SINGLE_MACHINE, *RCPSP, *POD_PACKING, *TENSOR_MEMORY, *SCRATCHPAD, *MEMORY_TIERS,
    *GPU_PACKING,
]  # fmt: skip
#: Cases after which a fault that shows in none has gone unnoticed.
MOST_CASES = 400
#: Every so many faults are tried in short runs.
FEW = 3


@functools.cache
def truth(name: str, case: int) -> Outcome | None:
    """Return what enumeration says of a case; None where it takes too long."""
    problem = draw(name, 0, case)
    sound = [way(problem, 0, 60) for way in ways(problem) if way.name in ("cpsat", "auto")][:1]
    told = enumerate_(family(name), problem, [outcome for outcome in sound if outcome])
    return told if told.decided else None


def told(problem: Problem, name: str) -> Outcome | None:
    """Return what a way of solving says; None where it does not express the problem."""
    return next((way(problem, 0, 60) for way in ways(problem) if way.name == name), None)


def noticed(fault: Fault) -> tuple[int, Finding] | None:
    """Return the first case in which a fault shows, and how."""
    known = family(fault.family)
    for case in range(MOST_CASES):
        if fault.way not in {way.name for way in ways(draw(fault.family, 0, case))}:
            continue
        right = truth(fault.family, case)
        if right is None:
            continue
        problem = draw(fault.family, 0, case)  # one that nothing is remembered of
        with fault.injected():
            outcome = told(problem, fault.way)
        wrong = disagreements(known, problem, [outcome, right]) if outcome else []
        if wrong:
            sound = told(draw(fault.family, 0, case), fault.way)
            assert sound is not None
            if not disagreements(known, problem, [sound, right]):
                return case, wrong[0]
    return None


@pytest.mark.parametrize("fault", FAULTS[::FEW], ids=str)
def test_faults_are_noticed(fault: Fault) -> None:
    assert noticed(fault) is not None


@pytest.mark.slow
@pytest.mark.parametrize("fault", [f for k, f in enumerate(FAULTS) if k % FEW], ids=str)
def test_all_other_faults_are_noticed(fault: Fault) -> None:
    assert noticed(fault) is not None


def test_there_are_faults_of_every_family_and_kind_of_solver() -> None:
    assert len(FAULTS) >= 80
    assert len({str(fault) for fault in FAULTS}) == len(FAULTS)
    for name in ("job_shop", "single_machine", "rcpsp", "tensor_memory", "scratchpad",
                 "memory_tiers"):  # fmt: skip
        used = {fault.way.partition(",")[0] for fault in FAULTS if fault.family == name}
        assert {"cpsat", "highs"} <= used
        assert used & {"native", "rules and bounds"}
    assert {"cpsat", "native"} <= {f.way for f in FAULTS if f.family == "pod_packing"}
    assert {"native", "rules and bounds"} == {f.way for f in FAULTS if f.family == "gpu_packing"}
