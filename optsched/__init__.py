"""optsched: exact combinatorial optimization, with a proof or an honest bound.

>>> import optsched as op
>>> problem = op.JobShop(jobs=[[(0, 3), (1, 2)], [(1, 4), (0, 1)]])
>>> result = op.solve(problem)
>>> print(result.status, result.objective, result.bound)
OPTIMAL 6 6
"""

from typing import Any

from optsched.core import (
    CannotExpressError,
    InputError,
    MissingExtraError,
    OptschedError,
    SolverError,
    VerificationError,
    Violation,
)
from optsched.loading import load
from optsched.problems.gpu_packing.problem import GpuPacking, GpuPackingSolution
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.problems.job_shop.replan import replan
from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.problems.rcpsp.problem import Rcpsp, RcpspSolution
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution
from optsched.problems.single_machine.problem import SingleMachine, SingleMachineSolution
from optsched.problems.tensor_memory.problem import TensorMemory, TensorMemorySolution
from optsched.result import Event, Result, Status, StopReason
from optsched.solving import Stream, compile, solve, stream

__all__ = [
    "CannotExpressError",
    "Event",
    "GpuPacking",
    "GpuPackingSolution",
    "InputError",
    "JobShop",
    "JobShopSolution",
    "MemoryTiers",
    "MemoryTiersSolution",
    "MissingExtraError",
    "OptschedError",
    "PodPacking",
    "PodPackingSolution",
    "Rcpsp",
    "RcpspSolution",
    "Result",
    "ScratchpadSchedule",
    "ScratchpadSolution",
    "SingleMachine",
    "SingleMachineSolution",
    "SolverError",
    "Status",
    "StopReason",
    "Stream",
    "TensorMemory",
    "TensorMemorySolution",
    "VerificationError",
    "Violation",
    "__version__",
    "compile",
    "load",
    "replan",
    "solve",
    "stream",
]


def __getattr__(name: str) -> Any:
    # The version is looked up when asked for: importlib.metadata is slow to import.
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("optsched")
        except PackageNotFoundError:  # run from a source tree that is not installed
            return "0.0.0"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
