"""From an options file to its plan: the block is parsed, checked against the file, and resolved by its preset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.baseline import parse_baseline
from mg_basicsr.config.block import SUB_BATCH, Block, parse_block
from mg_basicsr.config.data_needs import check_data_needs
from mg_basicsr.config.grid import check_grid
from mg_basicsr.config.presets.lin2022 import lin2022_specs
from mg_basicsr.config.presets.progressive import most_listed, progressive_specs
from mg_basicsr.config.presets.stages import stages_specs
from mg_basicsr.config.presets.wu2020 import wu2020_specs
from mg_basicsr.config.refusals import (
    FROZEN_PHASES,
    check_frozen_phases,
    check_most_clips,
    check_ranks,
    check_static_graph,
    check_supported,
    check_unused_parameters,
)
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import host_integer, integer
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.train_set import TrainSet, read_batch_size, read_train_set

PRESET_SPECS: dict[str, Callable[[Block, Baseline, Problems], list[StageSpec]]] = {
    'lin2022': lin2022_specs,
    'wu2020': wu2020_specs,
    'progressive': progressive_specs,
    'stages': stages_specs,
}


@dataclass(frozen=True)
class Settings:
    """Everything that an options file with a block asks for, resolved.

    `sub_batch_norm` is the clips of a sub-batch, 0 for batch norm as the networks have it.
    """

    block: Block
    train_set: TrainSet
    baseline: Baseline
    plan: Plan
    seed: int
    max_clips: int
    sub_batch_norm: int = 0

    @property
    def budget(self) -> int:
        """Most GT pixels of one forward pass on one rank."""
        return BatchShape(self.max_clips, self.baseline.frames, self.baseline.size).pixels


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
            'multigrid',
            f'{file.path} has no such section',
            remedy='add `multigrid: {preset: lin2022}`; without it, training is BasicSR as it is',
        )
        problems.raise_if_any()
    block = parse_block(options['multigrid'], problems)
    check_supported(options, problems)
    before = len(problems.found)
    root = Section('', options, problems)
    train_set, train = read_train_set(root), root.section('train')
    per_rank = read_batch_size(root)
    clips = (block and block.base_batch_size) or per_rank * world_size
    base = parse_baseline(train_set, train, clips, per_rank)
    own_warmup = train.read('warmup_iter', integer(-1), -1, default=-1)
    frozen = {name: train.read(name, host_integer(0), 0, default=0) for name in FROZEN_PHASES}
    seed = root.read('manual_seed', host_integer(0, 2**32 - 1), 0, default=0)
    if block is None or len(problems.found) > before:
        problems.raise_if_any()
    assert block is not None

    # from here on the values are known to be good, so that their relations can be checked
    specs = PRESET_SPECS[block.preset](block, base, problems)
    total = sum(spec.iters for spec in specs)
    check_grid(block, base, problems)
    check_data_needs(block, train_set, problems)
    check_frozen_phases(frozen, total, problems)
    check_static_graph(options, specs, problems)
    check_unused_parameters(options, frozen, world_size, problems)
    check_ranks(block, specs, world_size, problems)
    check_most_clips(block, specs, problems)
    problems.raise_if_any()

    max_clips = block.max_clips or (most_listed(block, base) if block.preset == 'progressive' else per_rank)
    budget = BatchShape(max_clips, base.frames, base.size).pixels
    warmup = _warmup_iter(block, own_warmup, total)
    plan = build_plan(specs, world_size=world_size, budget=budget, warmup_iter=warmup, base_lr=base.lr)
    return Settings(block, train_set, base, plan, seed, max_clips, _sub_batch_norm(block, plan, per_rank))


def _sub_batch_norm(block: Block, plan: Plan, per_rank: int) -> int:
    """The block's; else, where the plan varies the number of clips, wu2020's, capped at the file's clips per rank."""
    if block.sub_batch_norm is not None:
        return block.sub_batch_norm
    clips = {shape.clips for stage in plan.stages for shape in stage.spec.shapes}
    return min(SUB_BATCH, per_rank) if len(clips) > 1 else 0


def _warmup_iter(block: Block, own: int, total: int) -> int:
    """The block's, else the file's, else min(5000, total / 15) as lin2022 has it.

    Explicit stages are warmed up only if the block says so, and the file's own curve as the file has it.
    """
    if block.warmup_iter is not None:
        return max(0, block.warmup_iter)
    if block.preset == 'stages':
        return 0
    if block.preset == 'progressive':
        return max(0, own)
    return own if own > 0 else min(5000, total // 15)
