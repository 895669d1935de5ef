"""Pictures of schedules and of solves: static by matplotlib, interactive by plotly."""

from optsched.plotting.common import Picture, Spans, check_path
from optsched.plotting.drawing import draw
from optsched.plotting.schedule_chart import gantt
from optsched.plotting.trace_chart import convergence

__all__ = ["Picture", "Spans", "check_path", "convergence", "draw", "gantt"]
