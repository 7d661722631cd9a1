"""Reads from an options file the run that it describes without the block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mg_basicsr.config.dataset_kinds import clip_kind
from mg_basicsr.config.parsers import integer, list_of, non_negative, number, positive
from mg_basicsr.config.problems import Problems, shown
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Constant, CosineRestart, Curve, MultiStep

INTEGERS = list_of(integer(0), 'a list of integers >= 0')
NUMBERS = list_of(number, 'a list of numbers')


def section(options: Mapping[str, Any], path: str, problems: Problems) -> Mapping[str, Any]:
    """A section by its dotted path; an empty one, and a problem, where it is missing."""
    found: Any = options
    for key in path.split('.'):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        problems.add(f'{path}: {shown(found)} is not a section', 'allowed: the section as in BasicSR options files')
        return {}
    return found


def parse_baseline(options: Mapping[str, Any], base_batch_size: int | None, world_size: int, problems: Problems) -> Baseline:
    """The baseline. Every problem is noted; the values that could not be read are then placeholders.

    Args:
        options: The whole options file.
        base_batch_size: The block's, or None for batch_size_per_gpu x ranks, as BasicSR would run the file.
        world_size: Ranks.
        problems: Where problems are noted.
    """
    train_set = section(options, 'datasets.train', problems)
    train = section(options, 'train', problems)
    optimiser = section(options, 'train.optim_g', problems)

    scale = problems.parse('scale', options.get('scale', 1), integer(1), 1)
    size = problems.parse('datasets.train.gt_size', train_set.get('gt_size'), integer(1), scale)
    if size % scale:
        problems.add(
            f'datasets.train.gt_size: {size} is not a multiple of scale {scale}',
            f'allowed: a multiple of {scale}',
            f'set it to {size // scale * scale or scale}',
        )
    batch = problems.parse('datasets.train.batch_size_per_gpu', train_set.get('batch_size_per_gpu'), integer(1), 1)
    kind = clip_kind(train_set, problems)
    curve, eta_min = _host_curve(train, problems)
    return Baseline(
        clips=base_batch_size or batch * world_size,
        frames=kind.frames,
        size=size,
        scale=scale,
        total_iter=problems.parse('train.total_iter', train.get('total_iter'), integer(1), 1),
        lr=problems.parse('train.optim_g.lr', optimiser.get('lr'), positive, 1.0),
        eta_min=eta_min,
        host_curve=curve,
        mirrored=kind.mirrored,
        sliding_window=kind.sliding_window,
    )


def _host_curve(train: Mapping[str, Any], problems: Problems) -> tuple[Curve, float]:
    """The file's scheduler as a curve, and its minimum rate."""
    scheduler = train.get('scheduler')
    path = 'train.scheduler'
    if not isinstance(scheduler, Mapping):
        problems.add(f'{path}: {shown(scheduler)} is not a section', 'allowed: the section as in BasicSR options files')
        return Constant(), 0.0
    kind = scheduler.get('type')
    if kind == 'CosineAnnealingRestartLR':
        periods = problems.parse(f'{path}.periods', scheduler.get('periods'), INTEGERS, (1,))
        weights = problems.parse(f'{path}.restart_weights', scheduler.get('restart_weights', [1]), NUMBERS, (1.0,))
        if len(periods) != len(weights):
            problems.add(f'{path}.restart_weights: {len(weights)} values', f'allowed: {len(periods)}, as many as periods')
        eta_min = problems.parse(f'{path}.eta_min', scheduler.get('eta_min', 0), non_negative, 0.0)
        return CosineRestart(periods, weights), eta_min
    if kind in ('MultiStepLR', 'MultiStepRestartLR'):
        milestones = problems.parse(f'{path}.milestones', scheduler.get('milestones'), INTEGERS, ())
        gamma = problems.parse(f'{path}.gamma', scheduler.get('gamma', 0.1), positive, 0.1)
        restarts = problems.parse(f'{path}.restarts', scheduler.get('restarts', [0]), INTEGERS, (0,))
        weights = problems.parse(f'{path}.restart_weights', scheduler.get('restart_weights', [1]), NUMBERS, (1.0,))
        if len(restarts) != len(weights):
            problems.add(f'{path}.restart_weights: {len(weights)} values', f'allowed: {len(restarts)}, as many as restarts')
        return MultiStep(milestones, gamma, restarts, weights), 0.0
    # BasicSR's forks have schedulers of their own; the plan needs the curve only for `lr_schedule: host`
    eta_min = problems.parse(f'{path}.eta_min', scheduler.get('eta_min', 0), non_negative, 0.0)
    return UNKNOWN_CURVE, eta_min


UNKNOWN_CURVE = Constant()
