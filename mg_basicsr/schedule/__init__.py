"""The schedule: pure functions of the iteration, in the standard library alone."""

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, Stage, Step
from mg_basicsr.schedule.shape import BatchShape

__all__ = ['Baseline', 'BatchShape', 'Plan', 'Stage', 'Step']
