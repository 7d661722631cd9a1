"""From an options file to its plan: the block is parsed, checked against the file, and resolved by its preset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.baseline import parse_baseline
from mg_basicsr.config.block import Block, parse_block
from mg_basicsr.config.lin2022 import lin2022_specs
from mg_basicsr.config.options_file import OptionsFile
from mg_basicsr.config.parsers import integer
from mg_basicsr.config.problems import Problems
from mg_basicsr.config.refusals import check_static_graph, check_supported
from mg_basicsr.config.stages import stages_specs
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, build_plan
from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True)
class Settings:
    """Everything that an options file with a block asks for, resolved."""

    block: Block
    baseline: Baseline
    plan: Plan
    seed: int
    max_clips: int


def default_world_size(options: Mapping[str, Any]) -> int:
    """Ranks of a run that is only planned: an integer `num_gpu`, else 1."""
    num_gpu = options.get('num_gpu')
    return num_gpu if isinstance(num_gpu, int) and not isinstance(num_gpu, bool) and num_gpu > 0 else 1


def running_world_size() -> int:
    """Ranks of the run that this process is part of, as its launcher says (torchrun, slurm); 1 without one."""
    value = os.environ.get('WORLD_SIZE') or os.environ.get('SLURM_NTASKS') or '1'
    return int(value) if value.isdigit() and int(value) > 0 else 1


def resolve(file: OptionsFile, world_size: int | None = None) -> Settings:
    """The settings of an options file that has a block.

    Args:
        file: The options file.
        world_size: Ranks; by default an integer `num_gpu`, else 1.

    Raises:
        ConfigError: with all problems that could be found.
    """
    problems = Problems()
    options = file.options
    world_size = default_world_size(options) if world_size is None else world_size
    if not file.has_block:
        problems.add(
            f'multigrid: {file.path} has no such section',
            remedy='add `multigrid: {preset: lin2022}`; without it, training is BasicSR as it is',
        )
        problems.raise_if_any()
    block = parse_block(options['multigrid'], problems)
    base = parse_baseline(options, block.base_batch_size if block else None, world_size, problems)
    seed = problems.parse('manual_seed', options.get('manual_seed') or 0, integer(0), 0)
    check_supported(options, problems)
    problems.raise_if_any()
    assert block is not None

    specs = lin2022_specs(block, base, problems) if block.preset == 'lin2022' else stages_specs(block, base, problems)
    problems.raise_if_any()
    train = options['train']
    total = sum(spec.iters for spec in specs)
    _check_frozen_phase(train, total, problems)
    check_static_graph(options, specs, problems)
    problems.raise_if_any()

    max_clips = block.max_clips or int(options['datasets']['train']['batch_size_per_gpu'])
    budget = BatchShape(max_clips, base.frames, base.size).pixels
    warmup = _warmup_iter(block, train, total)
    plan = build_plan(specs, world_size=world_size, budget=budget, warmup_iter=warmup, base_lr=base.lr)
    return Settings(block, base, plan, seed, max_clips)


def _warmup_iter(block: Block, train: Mapping[str, Any], total: int) -> int:
    """The block's, else the file's, else min(5000, total / 15) (lin2022); explicit stages are warmed up only on request."""
    if block.warmup_iter is not None:
        return max(0, block.warmup_iter)
    if block.preset == 'stages':
        return 0
    own = train.get('warmup_iter')
    if isinstance(own, (int, float)) and own > 0:
        return int(own)
    return min(5000, total // 15)


def _check_frozen_phase(train: Mapping[str, Any], total: int, problems: Problems) -> None:
    """fix_flow and tsa_iter end by `==`: at or past the run's end the frozen part would never be trained."""
    for name in ('fix_flow', 'tsa_iter'):
        value = train.get(name)
        if isinstance(value, (int, float)) and value >= total:
            problems.add(
                f'train.{name}: {value:g}, but the plan has {total} iterations',
                f'allowed: less than {total}; it counts iterations and is not scaled by the batch',
                f'set train.{name}: {max(1, total // 60)}',
            )
