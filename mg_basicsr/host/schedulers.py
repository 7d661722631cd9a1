"""Comparison of the host's learning-rate schedulers with the rates that a plan takes from the options file.

A plan reads the section `train.scheduler` by the type's name: it needs no basicsr. A repository may have another class
of that name, or make its scheduler from other values. So where the plan depends on it, a copy of each scheduler that
the host has built is stepped through the file's whole run, on a stand-in for its optimizer.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import torch

from mg_basicsr.config.baseline import UNKNOWN_CURVE
from mg_basicsr.config.scheduler_use import scheduler_use
from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import CosineRestart, Rate
from mg_basicsr.training.host_model import HostModel
from mg_basicsr.training.seeding import isolated_seed

MOST_ITERATIONS = 2_000_000  # stepped through, in about ten seconds; no known run is longer
TOLERANCE = 1e-9  # relative to a group's initial rate: what rounding in another order may cause

Rates = list[list[float]]  # by optimizer, by parameter group


class Difference(NamedTuple):
    """Rate of the host's that is not the one in the plan.

    Attributes:
        iteration: 0-based, of the file.
        host: The host's rate.
        ours: The rate that follows from the options.
        of: Which parameter group it is; '' for the first of the first optimizer.
    """

    iteration: int
    host: float
    ours: float
    of: str

    def __str__(self) -> str:
        return (
            f'at iteration {self.iteration + 1:,} its rate{self.of} is {self.host:.6g}, by the options {self.ours:.6g}'
        )


def check_schedulers(run: Run, model: HostModel) -> None:
    """Compare the schedulers that the host has built with the plan, as far as the plan depends on them.

    Args:
        run: The run.
        model: BasicSR's model, its schedulers set up and not yet stepped.

    Raises:
        TrainingError: a scheduler has other rates, or cannot be stepped on trial.
    """
    base = run.settings.baseline
    use = scheduler_use(run.settings.block, base)
    if base.host_curve is UNKNOWN_CURVE:
        if use.floor and base.eta_min:
            _warn_of_floor(model, base)
        return
    # steps have no lowest rate in the file: the plan's is 0
    if not use.curve and not (use.floor and isinstance(base.host_curve, CosineRestart)):
        return
    try:
        found = _difference(model, base, None if use.curve else _ends_of_periods(base))
    except Exception as error:  # of a class about which nothing is known
        what = f'it cannot be compared ({type(error).__name__}: {error})'
    else:
        if found is None:
            return
        what = f'{found}'
    names = ' and '.join(dict.fromkeys(f'{type(each).__module__}.{type(each).__name__}' for each in model.schedulers))
    raise TrainingError(
        Problem(
            'train.scheduler',
            f'the plan takes its {"rates" if use.curve else "lowest rate"} from here, but {names or "no scheduler"} is '
            f'not what the options say: {what}',
            "needed: a scheduler that does what BasicSR's does under this type, with these values",
            'write the rates into the block: preset stages, lr_steps (wu2020) or lr_schedule: restart (lin2022)'
            if use.curve
            else 'write the rates into the block (preset stages), or set train.scheduler.eta_min to what it is',
        )
    )


def _difference(model: HostModel, base: Baseline, only: set[int] | None) -> Difference | None:
    """Return the first rate that differs; with `only`, at these iterations, or at the last if none comes before."""
    initial = _initial_rates(model)
    last = min(base.total_iter, MOST_ITERATIONS)
    for k, rates in _host_rates(model, base, last):
        if only is not None and k not in only and (k < last or min(only) <= last):
            continue
        factor = base.host_curve(k)
        for n, (group_rates, starts) in enumerate(zip(rates, initial, strict=True)):
            for m, (host, start) in enumerate(zip(group_rates, starts, strict=True)):
                ours = Rate(1.0, base.lr, base.lr, base.eta_min, factor)(start)
                if not abs(host - ours) <= TOLERANCE * start:
                    return Difference(k, host, ours, f' of group {m + 1} of optimizer {n + 1}' if n or m else '')
    return None


def _host_rates(model: HostModel, base: Baseline, last: int) -> Iterator[tuple[int, Rates]]:
    """Yield the rates at iterations 0 .. last of the file, as BasicSR's loop would have them; without warm-up.

    BasicSR steps a scheduler before each iteration but the first. Its cosine raises an error after its last period,
    where the plan's stays at the lowest rate: there the comparison ends.
    """
    stand_ins = {id(optimizer): _stand_in(optimizer) for optimizer in model.optimizers}
    with warnings.catch_warnings(), isolated_seed(0):
        warnings.simplefilter('ignore')  # the stand-ins make no steps
        copies = [copy.deepcopy(scheduler, dict(stand_ins)) for scheduler in model.schedulers]
        groups = [optimizer.param_groups for optimizer in stand_ins.values()]
        for k in range(last + 1):
            try:
                for scheduler in copies if k else ():
                    scheduler.step()
            except Exception:
                if isinstance(base.host_curve, CosineRestart) and k > sum(base.host_curve.periods):
                    return
                raise
            yield k, [[float(group['lr']) for group in each] for each in groups]


def _stand_in(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return an optimizer with the same groups and rates, without the parameters."""
    groups = [{**group, 'params': [torch.zeros(1)]} for group in optimizer.param_groups]
    return torch.optim.SGD(groups, lr=0.0)


def _initial_rates(model: HostModel) -> Rates:
    return [[group.get('initial_lr', group['lr']) for group in each.param_groups] for each in model.optimizers]


def _ends_of_periods(base: Baseline) -> set[int]:
    """Return the iterations at which the file's cosine is at the lowest rate of its period."""
    assert isinstance(base.host_curve, CosineRestart)
    return set(accumulate(base.host_curve.periods))


def _warn_of_floor(model: HostModel, base: Baseline) -> None:
    """Log where a scheduler of another type ends, if that is not the `eta_min` that the plan goes down to."""
    try:
        *_, (k, rates) = _host_rates(model, base, min(base.total_iter, MOST_ITERATIONS))
        what = f'is at {rates[0][0]:.6g} after {k:,} iterations'
        if abs(rates[0][0] - base.eta_min) <= TOLERANCE * base.lr:
            return
    except Exception as error:
        what = f'cannot be compared ({type(error).__name__}: {error})'
    logger().warning(
        f'multigrid: train.scheduler.eta_min: {base.eta_min:g} is taken as the lowest rate of the plan; the scheduler '
        f'of the file, which is none of BasicSR, {what}'
    )
