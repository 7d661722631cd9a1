"""Reads from an options file the run that it describes without the block."""

from __future__ import annotations

from mg_basicsr.config.dataset_kinds import clip_kind
from mg_basicsr.config.parsers import host_integer, integer, list_of, non_negative, number, positive, text
from mg_basicsr.config.problems import Problems
from mg_basicsr.config.section import Section
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Constant, CosineRestart, Curve, MultiStep

PERIODS = list_of(integer(1), 'a list of integers >= 1')
ITERATIONS = list_of(integer(0), 'a list of integers >= 0')
MILESTONES = list_of(integer(0), 'a list of integers >= 0', empty=True)
NUMBERS = list_of(number, 'a list of numbers')

# The curve of a scheduler that is not BasicSR's own; it must not be read.
UNKNOWN_CURVE = Constant()


def parse_baseline(file: Section, train_set: Section, train: Section, clips: int) -> Baseline:
    """The baseline. Every problem is noted; the values that could not be read are then placeholders.

    Args:
        file: The whole options file.
        train_set: Its section datasets.train.
        train: Its section train.
        clips: Clips per iteration that the file was made for, all ranks together.
    """
    optimiser = train.section('optim_g')
    curve, eta_min = _host_curve(train.section('scheduler'))
    scale = file.read('scale', host_integer(1), 1, default=1)
    size = train_set.read('gt_size', host_integer(1), scale)
    if size % scale:
        file.problems.add(
            f'datasets.train.gt_size: {size} is not a multiple of scale {scale}',
            f'allowed: a multiple of {scale}',
            f'set it to {size // scale * scale or scale}',
        )
    kind = clip_kind(train_set)
    return Baseline(
        clips=clips,
        frames=kind.frames,
        size=size,
        scale=scale,
        total_iter=train.read('total_iter', integer(1), 1),
        lr=optimiser.read('lr', positive, 1.0),
        eta_min=eta_min,
        host_curve=curve,
        mirrored=kind.mirrored,
        sliding_window=kind.sliding_window,
    )


def _host_curve(scheduler: Section) -> tuple[Curve, float]:
    """The file's scheduler as a curve, and its minimum rate. Defaults are those of BasicSR's schedulers."""
    kind = scheduler.read('type', text, '')
    if kind == 'CosineAnnealingRestartLR':
        periods: tuple[int, ...] = scheduler.read('periods', PERIODS, (1,))
        weights = _weights(scheduler, 'periods', len(periods))
        return CosineRestart(periods, weights), scheduler.read('eta_min', non_negative, 0.0, default=0)
    if kind in ('MultiStepLR', 'MultiStepRestartLR'):
        milestones: tuple[int, ...] = scheduler.read('milestones', MILESTONES, ())
        gamma = scheduler.read('gamma', positive, 0.1, default=0.1)
        restarts: tuple[int, ...] = scheduler.read('restarts', ITERATIONS, (0,), default=[0])
        ordered = sorted(zip(restarts, _weights(scheduler, 'restarts', len(restarts)), strict=False))
        return MultiStep(milestones, gamma, tuple(at for at, _ in ordered), tuple(weight for _, weight in ordered)), 0.0
    # BasicSR's forks have schedulers of their own; the plan needs the curve only for `lr_schedule: host`
    return UNKNOWN_CURVE, scheduler.read('eta_min', non_negative, 0.0, default=0)


def _weights(scheduler: Section, of: str, count: int) -> tuple[float, ...]:
    weights = scheduler.read('restart_weights', NUMBERS, (1.0,) * count, default=[1])
    if len(weights) != count:
        scheduler.problems.add(
            f'{scheduler.path}.restart_weights: {len(weights)} values for {count} {of}',
            f'allowed: as many as {of}',
            'make the two lists equally long',
        )
    return weights


def check_host_curve(path: str, base: Baseline, problems: Problems) -> None:
    """Notes that the option at `path` asks for the file's own schedule where that is not known."""
    if base.host_curve is UNKNOWN_CURVE:
        problems.add(
            f'{path}: host, but train.scheduler.type is not one of BasicSR',
            'allowed: CosineAnnealingRestartLR | MultiStepLR | MultiStepRestartLR',
            'use another curve',
        )
