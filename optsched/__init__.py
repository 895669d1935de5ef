"""optsched: exact combinatorial optimization, with a proof or an honest bound.

>>> import optsched as op
>>> problem = op.JobShop(jobs=[[(0, 3), (1, 2)], [(1, 4), (0, 1)]])
>>> result = op.solve(problem)
>>> print(result.status, result.objective, result.bound)
OPTIMAL 6 6
"""

from importlib.metadata import PackageNotFoundError, version

from optsched.core import (
    CannotExpressError,
    InputError,
    MissingExtraError,
    OptschedError,
    SolverError,
    VerificationError,
    Violation,
)

# from optsched.loading import load
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.result import Event, Result, Status, StopReason
from optsched.solving import Stream, compile, solve, stream

try:
    __version__ = version("optsched")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.0.0"

__all__ = [
    "CannotExpressError",
    "Event",
    "InputError",
    "JobShop",
    "JobShopSolution",
    "MissingExtraError",
    "OptschedError",
    "Result",
    "SolverError",
    "Status",
    "StopReason",
    "Stream",
    "VerificationError",
    "Violation",
    "__version__",
    "compile",
    # "load",
    "solve",
    "stream",
]
