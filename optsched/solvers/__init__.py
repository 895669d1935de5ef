"""Who solves: one file a solver. They know no problem; a formulation joins the two.

To add a solver, add a module with ``BACKEND`` (the formulation it takes: ``"cpsat"`` or
``"milp"``) and ``run(compiled, control) -> Verdict``, and name it in `MODULES`.
"""

#: Solver name to module; ``name:VARIANT`` is passed on as ``control.variant``.
MODULES = {
    "cpsat": "optsched.solvers.cpsat",
    "highs": "optsched.solvers.highs",
    "pulp": "optsched.solvers.pulp",
    "minizinc": "optsched.solvers.minizinc",
}
