"""Training schedules as pure functions of the iteration. Needs nothing but the standard library."""

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, Stage, Step
from mg_basicsr.schedule.shape import BatchShape

__all__ = ['Baseline', 'BatchShape', 'Plan', 'Stage', 'Step']
