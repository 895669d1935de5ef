"""Three MILP formulations to choose from: positional, time-indexed, linear ordering.

See Keha, Khowala and Fowler, Mixed integer programming formulations for single machine scheduling
problems, Computers & Industrial Engineering 56 (2009). All are written in PuLP.
"""

from __future__ import annotations

from optsched.core import Deadline, InputError
from optsched.problems.single_machine.formulations import LinearOrdering, Positional, TimeIndexed
from optsched.problems.single_machine.milp_model import SingleMachineMilp
from optsched.problems.single_machine.problem import OBJECTIVES, SingleMachine
from optsched.problems.single_machine.windows import windows
from optsched.solvers.base import nearest

SUPPORTS = frozenset(
    {"release dates", "deadlines", "precedence"} | {f"objective {kind}" for kind in OBJECTIVES}
)
#: Most (job, time) pairs for which the time-indexed formulation is the default.
MOST_STARTS = 100_000
#: Most jobs for which linear ordering, with its O(n^3) rows, is the default.
MOST_ORDERED = 60

FORMULATIONS: dict[str, type[SingleMachineMilp]] = {
    "positional": Positional,
    "time-indexed": TimeIndexed,
    "linear-ordering": LinearOrdering,
}
#: Options of `build` that a user may set, with the values that they take.
OPTIONS = {"formulation": tuple(FORMULATIONS)}


def build(
    problem: SingleMachine,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
    formulation: str | None = None,
) -> SingleMachineMilp:
    """Compile `problem` to a PuLP model; see `optsched.problems.single_machine.cpsat.build`.

    Parameters
    ----------
    formulation : str, optional
        ``"positional"``, ``"time-indexed"`` or ``"linear-ordering"``. Default: time-indexed where
        that is small, linear ordering up to `MOST_ORDERED` jobs, else positional.
    """
    if formulation is None:
        head, latest = windows(problem, upper_bound)
        small = int((latest - head - problem.processing + 1).sum()) <= MOST_STARTS
        ordered = problem.n_jobs <= MOST_ORDERED
        formulation = "time-indexed" if small else "linear-ordering" if ordered else "positional"
    if formulation not in FORMULATIONS:
        raise InputError(
            f"unknown formulation {formulation!r}{nearest(formulation, FORMULATIONS)}: "
            f"one of {', '.join(FORMULATIONS)}"
        )
    return FORMULATIONS[formulation](problem, upper_bound, lower_bound, deadline or Deadline())
