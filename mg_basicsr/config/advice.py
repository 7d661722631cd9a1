"""Warnings about a plan that can be made but that its networks may not take, or that loses what a paper warns of.

They come from the table of networks (networks.py), which may lag behind a repository: so they warn, and do not refuse.
`mg-basicsr check` and the start of training try every shape.
"""

from __future__ import annotations

from collections.abc import Iterator

from mg_basicsr.config.needs import Needs, needs_of
from mg_basicsr.config.official_batch import official_gpus
from mg_basicsr.config.presets.cycles import CycleBlock
from mg_basicsr.config.presets.table import preset_of
from mg_basicsr.config.resolve import Settings
from mg_basicsr.errors import Problem
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.plan import Stage


def advice(file: OptionsFile, settings: Settings) -> list[Problem]:
    """Return warnings about a plan, each with what to change; none for networks that are not in the table.

    Args:
        file: The options file.
        settings: The file, resolved.
    """
    needs = needs_of(file.options, settings.baseline.scale)
    return [
        *_sizes(needs, settings),
        *_frames(needs, settings),
        *_rates(needs, settings),
        *_phase(needs, settings),
        *_gain(settings),
        *_batch(file, settings),
    ]


def _sizes(needs: Needs, settings: Settings) -> Iterator[Problem]:
    """Yield a warning for the first stage whose crops a network does not take, and for the file's own size."""
    base = settings.baseline
    full = base.size // base.scale
    if not needs.takes(full):
        yield Problem(
            'datasets.train.gt_size',
            f'{base.size} is LQ {full}, but {_why_not(needs, full)}',
            'needed: a size that the network takes',
            'change it, or the network',
        )
        return
    for stage in settings.plan.stages:
        sizes = sorted({shape.size // base.scale for shape in stage.spec.shapes if shape.size < base.size})
        for size in sizes:
            if not needs.takes(size):
                yield Problem(
                    f'stage {stage.index + 1}',
                    f'LQ {size}, but {_why_not(needs, size)}',
                    f'allowed: {allowed_sizes(needs, full)}',
                    _other_size(needs, settings, stage, size),
                )
                return


def allowed_sizes(needs: Needs, full: int) -> str:
    """Return the LQ sizes up to the full one that the networks take, in words.

    Args:
        needs: What the networks take.
        full: The file's LQ size.
    """
    least = needs.smallest_crop(full)
    if least == full:
        return f'LQ {full} alone'
    step = f', multiples of {needs.multiple.whole}' if needs.multiple.whole > 1 else ''
    return f'LQ {least} to {full}{step}'


def _why_not(needs: Needs, size: int) -> str:
    if needs.only is not None:
        return f'{needs.only.network} takes LQ {needs.only.whole} alone'
    if size < needs.smallest.whole:
        return f'{needs.smallest.network} takes LQ {needs.smallest.whole} and more'
    return f'{needs.multiple.network} takes multiples of {needs.multiple.whole}'


def _other_size(needs: Needs, settings: Settings, stage: Stage, size: int) -> str:
    """Return the change of the block after which the networks take a stage's size."""
    block, base = settings.block, settings.baseline
    full = base.size // base.scale
    if isinstance(block, CycleBlock) and needs.only is None and block.lq_multiple % needs.multiple.whole:
        return f'set multigrid.lq_multiple: {needs.multiple.whole}'
    at_least = next((lq for lq in range(size, full) if needs.takes(lq)), full)
    return preset_of(block).advise_size(block, stage.index, at_least, base)


def _frames(needs: Needs, settings: Settings) -> Iterator[Problem]:
    """Yield a warning for clips that are shorter than a network takes, or that have another fixed number of frames."""
    base, least = settings.baseline, needs.min_frames.whole
    least += least % 2 if base.mirrored else 0
    if needs.frames is not None and base.sliding_window and base.frames != needs.frames.whole:
        yield Problem(
            'datasets.train.num_frame',
            f'{base.frames}, but {needs.frames.network} is built for {needs.frames.whole} frames',
            'needed: the same number in the network and in the data set',
            f'set it to {needs.frames.whole}, or build the network for {base.frames}',
        )
    for stage in settings.plan.stages:
        frames = min(shape.frames for shape in stage.spec.shapes)
        if frames < min(least, base.frames):
            yield Problem(
                f'stage {stage.index + 1}',
                f'{frames} frames, but {needs.min_frames.network} takes {least} and more',
                f'allowed: clips of at least {least} frames',
                preset_of(settings.block).advise_frames(settings.block, stage.index, least, base),
            )
            return


def _rates(needs: Needs, settings: Settings) -> Iterator[Problem]:
    """Yield a warning for the first stage of small crops whose rate is above the cap of a network."""
    cap, base = needs.small_lr_max, settings.baseline
    if cap is None:
        return
    for stage in settings.plan.stages:
        # a short cycle has the rate of its long shape, the last
        if stage.spec.shapes[-1].size < base.size and stage.spec.first_lr > cap.value * (1 + 1e-9):
            key = 'small_lr_max' if isinstance(settings.block, CycleBlock) else 'lr'
            yield Problem(
                f'stage {stage.index + 1}',
                f'rate {stage.spec.first_lr:g} on crops below the full size, but {needs.why_lr}',
                f'allowed: rates up to {cap.value:g} for {cap.network} on small crops',
                f'set multigrid.small_lr_max: {cap.value:.1e}'
                if key == 'small_lr_max'
                else f'lower the rate of this stage to {cap.value:.1e}',
            )
            return


def _phase(needs: Needs, settings: Settings) -> Iterator[Problem]:
    """Yield a warning for a curriculum in the second phase of a network's training."""
    if needs.second_phase and _has_small_shapes(settings):
        yield Problem(needs.second_phase, *second_phase_texts())


def second_phase_texts() -> tuple[str, str, str]:
    """Return what is wrong with a curriculum in a second phase, what is allowed, and what to do."""
    return (
        'on, with the weights of a first phase: the second phase of this network trains what was added to it',
        'allowed: a curriculum in the first phase, which starts from nothing',
        'put the block into the options of the first phase, and train this file without it',
    )


def _gain(settings: Settings) -> Iterator[Problem]:
    """Yield a warning for a plan of the baseline's shape alone, unless its batch or its loading is another."""
    plan, base, block = settings.plan, settings.baseline, settings.block
    alike = set(plan.shapes) == {base.shape}
    if alike and block.store is None:
        yield Problem(
            f'multigrid.preset: {block.preset}',
            f'every stage has the shape of the file, {base.frames} frames of {base.size} GT pixels: nothing is saved',
            'needed: smaller crops or shorter clips in some stage',
            'see which sizes come out with a smaller multigrid.min_lq_size, or a larger datasets.train.gt_size',
        )


def _batch(file: OptionsFile, settings: Settings) -> Iterator[Problem]:
    """Yield a warning if the file was made for another number of GPUs than the ranks, and the block does not say so."""
    ranks = settings.plan.world_size
    yield from _other_gpus(file, settings, ranks, f'{ranks} rank{"s make" if ranks > 1 else " makes"}')


def fewer_gpus(file: OptionsFile, settings: Settings, gpus: int) -> list[Problem]:
    """Return a warning if a machine has fewer GPUs than the file's rate was made for, and than the plan has ranks.

    Args:
        file: The options file.
        settings: The file, resolved.
        gpus: GPUs of the machine; 0 for a CPU, of which nothing is said.
    """
    if not 0 < gpus < settings.plan.world_size:
        return []
    make = 'the 1 GPU of this machine makes' if gpus == 1 else f'the {gpus} GPUs of this machine make'
    return [*_other_gpus(file, settings, gpus, make)]


def _other_gpus(file: OptionsFile, settings: Settings, gpus: int, make: str) -> Iterator[Problem]:
    """Yield a warning if the file was made for another number of GPUs, and the block does not say so.

    Args:
        file: The options file.
        settings: The file, resolved.
        gpus: Number of GPUs that train.
        make: The GPUs and the verb of the message.
    """
    per_gpu = settings.baseline.clips_per_rank
    official = official_gpus(file)
    if settings.block.base_batch_size is not None or official is None or official.gpus == gpus:
        return
    clips, now = official.gpus * per_gpu, gpus * per_gpu
    effect = ': with so few clips at that rate PSNR first rises, then falls' if now < clips else ''
    yield Problem(
        'multigrid.base_batch_size',
        f'missing, and {make} {now} clips per iteration, while the rate and the iterations of the file were made for '
        f'{official.gpus} GPUs ({official.where}), {clips} clips{effect}',
        'allowed: the clips of all GPUs together that the file was made for',
        f'set multigrid.base_batch_size: {clips}, for the same mini-batch in more passes; with multigrid.batch_size: '
        f'{now} as well, the rate and the iterations are scaled to it instead',
    )


def _has_small_shapes(settings: Settings) -> bool:
    base = settings.baseline
    return any(shape.size < base.size or shape.frames < base.frames for shape in settings.plan.shapes)
