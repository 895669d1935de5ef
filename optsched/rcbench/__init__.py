"""R-ConstraintBench: feasibility problems of growing constraint, and a judge of what others answer.

Jain and Wetter (2025) test language models on resource-constrained project scheduling: level ``k``
has ``k`` non-redundant precedence relations, and downtime, time windows and disjunctions come on
top. `generate` makes such cases around a hidden schedule, `twins` their infeasible counterparts,
`prompts` states them to a model, and `score` finds every violation in an answer.
"""

from optsched.rcbench.case import Case, Resource, Task
from optsched.rcbench.generate import AXES, generate
from optsched.rcbench.prompts import prompt
from optsched.rcbench.score import Score, Violation, score
from optsched.rcbench.summary import area_under_curve, summarise
from optsched.rcbench.twins import infeasible_twin

__all__ = [
    "AXES",
    "Case",
    "Resource",
    "Score",
    "Task",
    "Violation",
    "area_under_curve",
    "generate",
    "infeasible_twin",
    "prompt",
    "score",
    "summarise",
]
