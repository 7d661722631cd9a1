"""What cannot be trained under a plan, refused by name at the start instead of going wrong at hour 20."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mg_basicsr.config.block import Block
from mg_basicsr.parsing.problems import Problems, shown
from mg_basicsr.parsing.values import MOST_CLIPS
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import BatchShape

# Their degradation pool keeps batches of the first shape, and they crop GT by the top-level gt_size.
FROZEN_SHAPE_MODELS = ('RealESRGANModel', 'RealESRNetModel', 'LDLModel')

# Keys by which repositories built on BasicSR run a schedule of shapes of their own.
SCHEDULE_KEYS = ('gt_sizes', 'mini_batch_sizes')

# Options of `train` that name an iteration at which a frozen part of the network is freed.
FROZEN_PHASES = ('fix_flow', 'tsa_iter')


def check_supported(options: Mapping[str, Any], problems: Problems) -> None:
    """Notes models and schedules that do not go together with a plan."""
    key = 'base_model' if options.get('model_type') == 'MultigridModel' else 'model_type'
    model = options.get(key)
    if model in FROZEN_SHAPE_MODELS:
        problems.add(
            key,
            f'{model} keeps a pool of degraded pairs of the first shape that it sees',
            'allowed: models that take each batch as it comes',
            'train it without the multigrid block',
        )
    if key == 'base_model' and not isinstance(model, str):
        problems.add(
            'base_model', 'missing', 'needed: the model class to wrap', 'write for example VideoRecurrentModel'
        )
    datasets = options.get('datasets')
    train_set = datasets.get('train') if isinstance(datasets, Mapping) else None
    if not isinstance(train_set, Mapping):
        return
    own = [name for name in SCHEDULE_KEYS if train_set.get(name) is not None]
    if own:
        value = shown(train_set[own[0]])
        problems.add(
            f'datasets.train.{own[0]}',
            f"{value} is a schedule of the file's own beside the multigrid block",
            'allowed: one schedule of shapes',
            f'remove {" and ".join(own)} or the multigrid block; preset progressive takes such lists in the block',
        )


def check_static_graph(options: Mapping[str, Any], specs: Sequence[StageSpec], problems: Problems) -> None:
    """DDP's static graph takes one number of frames: fewer give a step of unsynchronised gradients, more an error."""
    frames = sorted({shape.frames for spec in specs for shape in spec.shapes})
    if options.get('use_static_graph') and len(frames) > 1:
        problems.add(
            'use_static_graph',
            f'true, but the plan has clips of {frames} frames',
            'allowed: one clip length with a static graph',
            'set multigrid.temporal: [1.0], or use_static_graph: false',
        )


def check_frozen_phases(frozen: Mapping[str, int], total: int, problems: Problems) -> None:
    """They end by `==`: at or past the run's end the frozen part would never be trained."""
    for name, value in frozen.items():
        if value >= total:
            problems.add(
                f'train.{name}',
                f'{value}, but the plan has {total} iterations',
                f'allowed: less than {total}; it counts iterations and is not scaled by the batch',
                f'set train.{name}: {max(1, total // 60)}',
            )


def check_unused_parameters(
    options: Mapping[str, Any], frozen: Mapping[str, int], world_size: int, problems: Problems
) -> None:
    """DDP waits for the gradients of what is frozen, and stops at the second iteration unless told to look for it.

    A file that says nothing is given `find_unused_parameters: true` (host/options.py). A static graph finds out itself.
    """
    if options.get('find_unused_parameters') is not False or options.get('use_static_graph') or world_size == 1:
        return
    for name, value in frozen.items():
        if value:
            problems.add(
                'find_unused_parameters',
                f'false, but train.{name}: {value} freezes part of the network at first',
                f'allowed: true on {world_size} ranks, which otherwise wait for the gradients of the frozen part',
                f'set find_unused_parameters: true, or train.{name}: ~',
            )
            return


def check_ranks(block: Block, specs: Sequence[StageSpec], world_size: int, problems: Problems) -> None:
    """Every stage's clips can be divided among the ranks; what has been set to another number is named."""
    told = set()
    for n, shape in ((n, shape) for n, spec in enumerate(specs) for shape in spec.shapes):
        path, clips = _origin(block, n, shape)
        if clips % world_size and path not in told:
            told.add(path)
            multiple = -(-clips // world_size) * world_size
            problems.add(
                path,
                f'{clips} clips cannot be divided among {world_size} ranks',
                f'allowed: {"numbers that make " if block.preset == "progressive" else ""}a multiple of {world_size}',
                f'{"raise it" if block.preset == "progressive" else f"set it to {multiple}"}, '
                'or use another number of ranks',
            )


def check_most_clips(block: Block, specs: Sequence[StageSpec], problems: Problems) -> None:
    """A batch that grows is still one that can be divided; the first stage that is not is told."""
    for n, shape in ((n, shape) for n, spec in enumerate(specs) for shape in spec.shapes):
        if shape.clips > MOST_CLIPS:
            problems.add(
                _origin(block, n, shape)[0],
                f'{shape.clips} clips in stage {n + 1}',
                f'allowed: at most {MOST_CLIPS} clips per step',
                'use larger shapes or a smaller batch',
            )
            return


def _origin(block: Block, n: int, shape: BatchShape) -> tuple[str, int]:
    """The option that a shape of stage n has its clips from, and the clips that it asks for.

    Cycles make whole multiples of the full shape's clips, so that these alone have to be divided among ranks.
    """
    if block.preset == 'progressive':
        return f'multigrid.mini_batch_sizes[{n}]', shape.clips
    if block.preset == 'stages' and block.stages[n].short_cycle:
        return f'multigrid.stages[{n}].short_cycle', shape.clips
    if block.preset == 'stages' and block.stages[n].clips:
        return f'multigrid.stages[{n}].clips', shape.clips
    path = f'multigrid.{"batch_size" if block.batch_size else "base_batch_size"}'
    return path, block.batch_size or block.base_batch_size or shape.clips
