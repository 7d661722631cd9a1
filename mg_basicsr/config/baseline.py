"""Reading of the baseline: the run that an options file describes without its `multigrid:` block."""

from __future__ import annotations

from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import (
    host_integer,
    host_number,
    host_positive,
    integer,
    list_of,
    non_negative,
    positive,
    text,
)
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Constant, CosineRestart, Curve, MultiStep
from mg_basicsr.train_set import TrainSet

# BasicSR makes its scheduler from these values without any conversion.
PERIODS = list_of(host_integer(1), 'a list of integers >= 1')
ITERATIONS = list_of(host_integer(0), 'a list of integers >= 0')
MILESTONES = list_of(host_integer(0), 'a list of integers >= 0', empty=True)
NUMBERS = list_of(host_number, 'a list of numbers')

# The curve of a scheduler that is not BasicSR's own; it must not be read.
UNKNOWN_CURVE = Constant()


def parse_baseline(train_set: TrainSet, train: Section, clips: int, per_rank: int) -> Baseline:
    """Return the baseline. Problems are added to those of `train`; a value with a problem is replaced by a placeholder.

    Args:
        train_set: The training set.
        train: Section `train`.
        clips: Clips per iteration that the file was made for, all ranks together.
        per_rank: Clips per iteration on each rank.
    """
    optimiser = train.section('optim_g')
    lr = optimiser.read('lr', positive, 1.0)
    curve, eta_min = _host_curve(train.section('scheduler'), lr)
    return Baseline(
        clips=clips,
        frames=train_set.frames,
        size=train_set.gt_size,
        scale=train_set.scale,
        total_iter=train.read('total_iter', integer(1), 1),
        lr=lr,
        eta_min=eta_min,
        host_curve=curve,
        mirrored=train_set.mirrored,
        sliding_window=train_set.sliding_window,
        clips_per_rank=per_rank,
    )


def _host_curve(scheduler: Section, lr: float) -> tuple[Curve, float]:
    """Read the file's scheduler as a curve, and its lowest rate. Defaults are those of BasicSR's schedulers."""
    kind = scheduler.read('type', text, '')
    if kind == 'CosineAnnealingRestartLR':
        periods: tuple[int, ...] = scheduler.read('periods', PERIODS, (1,))
        weights = _weights(scheduler, 'periods', len(periods))
        return CosineRestart(periods, weights), scheduler.read('eta_min', non_negative, 0.0, default=0)
    if kind == 'CosineAnnealingRestartCyclicLR':
        periods = scheduler.read('periods', PERIODS, (1,))
        weights = _per_period(scheduler, 'restart_weights', len(periods), 1)
        minima = _per_period(scheduler, 'eta_mins', len(periods), 0)
        floor = min(minima) if 0 <= min(minima) < lr else 0.0
        return CosineRestart(periods, weights, tuple((eta - floor) / (lr - floor) for eta in minima)), floor
    if kind in ('MultiStepLR', 'MultiStepRestartLR'):
        milestones: tuple[int, ...] = scheduler.read('milestones', MILESTONES, ())
        gamma = scheduler.read('gamma', host_positive, 0.1, default=0.1)
        restarts: tuple[int, ...] = scheduler.read('restarts', ITERATIONS, (0,), default=[0])
        ordered = sorted(zip(restarts, _weights(scheduler, 'restarts', len(restarts)), strict=False))
        return MultiStep(milestones, gamma, tuple(at for at, _ in ordered), tuple(weight for _, weight in ordered)), 0.0
    # Not a problem: forks of BasicSR have other schedulers, and a plan needs the curve only for `lr_schedule: host`.
    return UNKNOWN_CURVE, scheduler.read('eta_min', non_negative, 0.0, default=0)


def _weights(scheduler: Section, of: str, count: int) -> tuple[float, ...]:
    return _per_period(scheduler, 'restart_weights', count, 1, of)


def _per_period(scheduler: Section, key: str, count: int, default: int, of: str = 'periods') -> tuple[float, ...]:
    """Read a list of as many numbers as there are periods, or restarts."""
    values = scheduler.read(key, NUMBERS, (float(default),) * count, default=[default])
    if len(values) == count:
        return values
    scheduler.refuse(
        key,
        f'{len(values)} values for {count} {of}',
        f'allowed: as many as {of}',
        'make the two lists equally long',
    )
    return (float(default),) * count


def check_host_curve(path: str, base: Baseline, problems: Problems) -> None:
    """Add a problem if an option asks for the file's own schedule, and that is not known.

    Args:
        path: Dotted path of the option.
        base: The run that the file describes.
        problems: Collection to which the problem is added.
    """
    if base.host_curve is UNKNOWN_CURVE:
        problems.add(
            path,
            'host, but train.scheduler.type is none that is known',
            'allowed: CosineAnnealingRestartLR | CosineAnnealingRestartCyclicLR | MultiStepLR | MultiStepRestartLR',
            'use one of these, or another curve',
        )
