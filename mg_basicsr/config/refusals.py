"""Checks for options that cannot be trained under a plan, at the start instead of by a failure hours later."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mg_basicsr.config.block import Block
from mg_basicsr.config.host_classes import POOL_MODELS
from mg_basicsr.config.own_schedule import check_own_schedule
from mg_basicsr.config.presets.preset import ClipsOption
from mg_basicsr.config.presets.table import preset_of
from mg_basicsr.errors import Problem
from mg_basicsr.parsing.problems import Problems, shown
from mg_basicsr.parsing.values import MOST_CLIPS, host_integer
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import BatchShape

MOST_ITERATIONS = 2**62

# Options of `train` that name an iteration at which a frozen part of the network is freed; see `phase_end`.
FROZEN_PHASES = ('fix_flow', 'tsa_iter')


def phase_end(value: Any) -> int:
    """Parse the iteration at which a frozen part is freed: 0 if none is frozen, below if it never is freed.

    BasicSR only tests the option for truth, and whether an iteration equals it.

    Raises:
        ValueError: the value is no such number.
    """
    try:
        return host_integer(-(2**62))(0 if value is False else value)
    except ValueError:
        raise ValueError('an integer >= 0, or -1 for a part that stays frozen') from None


def pool_problem(option: str, model: str) -> Problem:
    """Return the problem of a model with a degradation pool.

    Args:
        option: Dotted path of the option that names it.
        model: The model.
    """
    return Problem(
        option,
        f'{model} keeps a pool of degraded pairs of the first shape that it sees',
        'allowed: models that take each batch as it comes',
        'train it without the multigrid block',
    )


def check_supported(options: Mapping[str, Any], problems: Problems, pool_models: Collection[str] = POOL_MODELS) -> None:
    """Add a problem for a name, a model or a schedule that cannot be trained under a plan.

    Args:
        options: Content of the options file.
        pool_models: Names of models with a degradation pool.
        problems: Collection to which problems are added.
    """
    name = options.get('name')
    if name is not None and (not isinstance(name, str) or not name):
        problems.add(
            'name',
            f'{shown(name)} is not a text',
            'allowed: the name of the experiment, as text (YAML reads 001 as the number 1)',
            "put it in quotes: name: '001'",
        )
    elif name is not None and ('/' in name or name in ('.', '..') or not name.isprintable()):
        # BasicSR joins it to `experiments`, moves away what is there, and puts it into the name of the log
        problems.add(
            'name',
            f'{shown(name)} is not the name of one folder',
            'allowed: a name without slashes and control characters, of a folder in experiments',
            'rename the experiment',
        )
    key = 'base_model' if options.get('model_type') == 'MultigridModel' else 'model_type'
    model = options.get(key)
    # without their own degradations these models take pairs, as any other
    if isinstance(model, str) and model in pool_models and options.get('high_order_degradation', True):
        problems.add(*pool_problem(key, model))
    if key == 'base_model' and not isinstance(model, str):
        problems.add(
            'base_model', 'missing', 'needed: the model class to wrap', 'write for example VideoRecurrentModel'
        )
    check_own_schedule(options, problems)


def check_static_graph(options: Mapping[str, Any], specs: Sequence[StageSpec], problems: Problems) -> None:
    """Add a problem for a static graph of DDP together with clips of several lengths.

    DDP's static graph is that of one number of frames: with fewer, gradients are not synchronised; with more, it fails.

    Args:
        options: Content of the options file.
        specs: The stages.
        problems: Collection to which problems are added.
    """
    frames = sorted({shape.frames for spec in specs for shape in spec.shapes})
    if options.get('use_static_graph') and len(frames) > 1:
        problems.add(
            'use_static_graph',
            f'true, but the plan has clips of {frames} frames',
            'allowed: one clip length with a static graph',
            'set multigrid.temporal: [1.0], or use_static_graph: false',
        )


def check_frozen_phases(frozen: Mapping[str, int], total: int, problems: Problems) -> None:
    """Add a problem for a frozen phase that does not end within the run.

    BasicSR ends it when the iteration equals the option: at or after the run's end the part would never be trained.

    Args:
        frozen: Iterations of the phases, by their option in `train`.
        total: Iterations of the plan.
        problems: Collection to which problems are added.
    """
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
    """Add a problem for `find_unused_parameters: false` on several ranks if part of the network is frozen at first.

    DDP waits for the gradients of frozen parameters, and fails at the second iteration unless it looks for unused ones.
    A file without the option gets `true` (host/patches/planned_options.py). A static graph does not need it.

    Args:
        options: Content of the options file.
        frozen: Iterations of the frozen phases, by their option in `train`.
        world_size: Number of ranks.
        problems: Collection to which problems are added.
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


def check_lengths(specs: Sequence[StageSpec], base: Baseline, problems: Problems) -> None:
    """Add a problem if a stage has no iteration.

    Args:
        specs: The stages.
        base: The run that the file describes.
        problems: Collection to which problems are added.
    """
    if any(spec.iters < 1 for spec in specs):
        total = sum(spec.iters for spec in specs)
        problems.add(
            'train.total_iter',
            f'{base.total_iter}, which gives {total} iterations for {len(specs)} stages',
            'allowed: enough for one iteration in each stage',
            'train longer, or with fewer stages',
        )


def check_ranks(block: Block, specs: Sequence[StageSpec], world_size: int, problems: Problems) -> None:
    """Add a problem for every option whose clips cannot be divided among the ranks.

    Args:
        block: The block.
        specs: The stages.
        world_size: Number of ranks.
        problems: Collection to which problems are added.
    """
    reported = set()
    for option in _clips_options(block, specs):
        if option.clips % world_size and option.path not in reported:
            reported.add(option.path)
            multiple = -(-option.clips // world_size) * world_size
            problems.add(
                option.path,
                f'{option.clips} clips cannot be divided among {world_size} ranks',
                f'allowed: {"" if option.is_value else "numbers that make "}a multiple of {world_size}',
                f'{f"set it to {multiple}" if option.is_value else "raise it"}, or use another number of ranks',
            )


def check_most_clips(block: Block, specs: Sequence[StageSpec], problems: Problems) -> None:
    """Add a problem for the first stage with more clips per step than MOST_CLIPS.

    Args:
        block: The block.
        specs: The stages.
        problems: Collection to which problems are added.
    """
    for n, shape in _shapes(specs):
        if shape.clips > MOST_CLIPS:
            problems.add(
                preset_of(block).clips_option(block, n, shape).path,
                f'{shape.clips} clips in stage {n + 1}',
                f'allowed: at most {MOST_CLIPS} clips per step',
                'use larger shapes or a smaller batch',
            )
            return


def _clips_options(block: Block, specs: Sequence[StageSpec]) -> Iterator[ClipsOption]:
    """Yield the option that the clips of each shape come from."""
    preset = preset_of(block)
    return (preset.clips_option(block, n, shape) for n, shape in _shapes(specs))


def _shapes(specs: Sequence[StageSpec]) -> Iterator[tuple[int, BatchShape]]:
    """Yield every shape with the 0-based number of its stage."""
    return ((n, shape) for n, spec in enumerate(specs) for shape in spec.shapes)
