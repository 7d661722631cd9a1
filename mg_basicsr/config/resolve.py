"""Resolution of an options file to its plan: the block is read, checked against the file, and planned by its preset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.baseline import parse_baseline
from mg_basicsr.config.block import Block
from mg_basicsr.config.data_needs import check_data_needs
from mg_basicsr.config.grid import check_grid
from mg_basicsr.config.host_classes import BY_NAME, HostClasses
from mg_basicsr.config.host_options import check_host_options
from mg_basicsr.config.presets.cycles import CycleBlock, planned_clips
from mg_basicsr.config.presets.table import preset_of
from mg_basicsr.config.read_block import read_block
from mg_basicsr.config.refusals import (
    FROZEN_PHASES,
    check_frozen_phases,
    check_lengths,
    check_most_clips,
    check_ranks,
    check_static_graph,
    check_supported,
    check_unused_parameters,
    phase_end,
)
from mg_basicsr.config.related import BATCH, DATA_NEEDS, FROZEN, GRID, SHAPES, STAGES, UNUSED_PARAMETERS, Related
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import host_integer, integer
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.train_set import TrainSet, read_batch_size, read_train_set

# Clips over which batch norm computes its statistics while the number of clips varies (wu2020).
SUB_BATCH = 8


@dataclass(frozen=True)
class Settings:
    """Settings of a run: an options file with a block, resolved.

    Attributes:
        block: The block.
        train_set: The training set.
        baseline: The run that the file describes without the block.
        plan: The run with the block.
        seed: `manual_seed`; 0 without one.
        max_clips: Most clips of the full shape in one pass on one rank.
        sub_batch_norm: Clips of a sub-batch; 0 for the networks' own batch norm.
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
    """Return the number of ranks of a run that is only planned: an integer `num_gpu`, else 1."""
    num_gpu = options.get('num_gpu')
    return num_gpu if isinstance(num_gpu, int) and not isinstance(num_gpu, bool) and num_gpu > 0 else 1


def running_world_size(launcher: str = '') -> int:
    """Return the number of ranks of this process's run, from its launcher; 1 without one.

    Args:
        launcher: 'none', 'pytorch' (torchrun) or 'slurm', whose own variable is read: that of the other is left over
            from where the job was sent off. Without it, torchrun's comes first.
    """
    variables = {'none': (), 'pytorch': ('WORLD_SIZE',), 'slurm': ('SLURM_NTASKS',)}
    values = [os.environ.get(name) for name in variables.get(launcher, ('WORLD_SIZE', 'SLURM_NTASKS'))]
    value = next(filter(None, values), '1').strip()
    return int(value) if value.isascii() and value.isdigit() and int(value) > 0 else 1


def resolve(
    file: OptionsFile,
    world_size: int | None = None,
    classes: HostClasses = BY_NAME,
    whole: bool = False,
) -> Settings:
    """Read the block of an options file, check it against the file, and plan the run.

    Args:
        file: The options file.
        world_size: Number of ranks; by default an integer `num_gpu`, else 1.
        classes: What is known of the classes behind the names in the file.
        whole: Whether options that only the host's train loop needs must be there; otherwise in whole files only.

    Raises:
        ConfigError: the file cannot be planned; it holds all problems found.
    """
    problems = Problems()
    options = file.options
    world_size = default_world_size(options) if world_size is None else world_size
    if not file.has_block:
        problems.add(
            'multigrid',
            f'{file.path} has no such section',
            remedy='add `multigrid: {preset: lin2022}`; without it, BasicSR trains as usual',
        )
        problems.raise_if_any()
    block = read_block(options['multigrid'], problems, partial=True)
    check_supported(options, problems, classes.pool_models)
    root = Section('', options, problems)
    train_set = read_train_set(root, classes.own_datasets, block.adapter.frames if block and block.adapter else None)
    train = root.section('train')
    per_rank = read_batch_size(root)
    clips = (block and block.base_batch_size) or per_rank * world_size
    base = parse_baseline(train_set, train, clips, per_rank)
    own_warmup = train.read('warmup_iter', integer(-1), -1, default=-1)
    frozen = {name: train.read(name, phase_end, 0, default=0) for name in FROZEN_PHASES}
    seed = root.read('manual_seed', host_integer(0, 2**32 - 1), 0, default=0)
    check_host_options(options, problems, whole, classes.own_datasets)

    # Values with a problem are replaced by others. A relation is checked if all of its parts are good.
    related = Related(problems, block)
    specs: list[StageSpec] = []
    if related.good(*UNUSED_PARAMETERS):
        check_unused_parameters(options, frozen, world_size, problems)
    if block is not None:
        with related.checking(*GRID) as found:
            check_grid(block, base, found)
        with related.checking(*DATA_NEEDS) as found:
            check_data_needs(block, train_set, found)
        if isinstance(block, CycleBlock):
            with related.checking(*BATCH) as found:
                planned_clips(block, base, found)
        with related.checking(*STAGES) as found:
            specs = preset_of(block).specs(block, base, found)
            if not found.found:
                check_lengths(specs, base, found)
    if block is not None and specs and related.good(*SHAPES):
        total = sum(spec.iters for spec in specs)
        with related.checking('multigrid', *FROZEN) as found:
            check_frozen_phases(frozen, total, found)
        with related.checking('multigrid') as found:
            check_static_graph(options, specs, found)
            check_ranks(block, specs, world_size, found)
            check_most_clips(block, specs, found)
    problems.raise_if_any()
    assert block is not None

    preset, total = preset_of(block), sum(spec.iters for spec in specs)
    max_clips = block.max_clips or preset.max_clips(block, base)
    budget = BatchShape(max_clips, base.frames, base.size).pixels
    warmup = max(0, block.warmup_iter) if block.warmup_iter is not None else preset.warmup_iter(own_warmup, total)
    plan = build_plan(specs, world_size=world_size, budget=budget, warmup_iter=warmup, base_lr=base.lr)
    return Settings(block, train_set, base, plan, seed, max_clips, _sub_batch_norm(block, plan, per_rank))


def _sub_batch_norm(block: Block, plan: Plan, per_rank: int) -> int:
    """Return the clips of a sub-batch.

    That is the block's value; without one, wu2020's for plans that vary the number of clips, capped at the file's clips
    per rank.
    """
    if block.sub_batch_norm is not None:
        return block.sub_batch_norm
    clips = {shape.clips for shape in plan.shapes}
    return min(SUB_BATCH, per_rank) if len(clips) > 1 else 0
