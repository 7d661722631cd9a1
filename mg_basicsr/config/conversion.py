"""Block for a stock options file: settings that its networks take, each with its reason, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mg_basicsr.config.advice import advice, second_phase_texts
from mg_basicsr.config.keys import descriptions
from mg_basicsr.config.needs import Needs, needs_of
from mg_basicsr.config.official_batch import OfficialGpus
from mg_basicsr.config.own_schedule import OwnSchedule, own_schedule, with_whole_batches
from mg_basicsr.config.presets.cycles import CycleBlock
from mg_basicsr.config.presets.preset import Preset, Suggestion
from mg_basicsr.config.presets.table import loaded
from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.errors import ConfigError, Problem, printable
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.parsing.yaml_writing import one_line
from mg_basicsr.schedule.describe import describe

GAIN = 1.005  # an ideal speed-up below this is none
BATCH = 'clips per iteration, all GPUs together, that lr and total_iter were made for'


@dataclass(frozen=True)
class Choices:
    """Choices of the user.

    Attributes:
        base_batch_size: Clips per iteration, all GPUs together, that the file was made for; None if not known.
        why_batch: Source of this number.
        store: Path of a crop store, or None.
        precision: Type in which networks compute, or None for the default.
    """

    base_batch_size: int | None = None
    why_batch: str = ''
    store: str | None = None
    precision: str | None = None


@dataclass(frozen=True)
class Conversion:
    """Block for a file.

    Attributes:
        lines: Its keys in order, `preset` first.
        settings: The file with the block, resolved.
        unknown: Types of networks that are not in the table.
        schedule: Schedule that the file has itself: its options take the place of the file's in `datasets.train`.
        adopted: Whether the block has the stages of this schedule.
    """

    lines: tuple[Suggestion, ...]
    settings: Settings
    unknown: tuple[str, ...]
    schedule: OwnSchedule | None = None
    adopted: bool = False

    @property
    def keys(self) -> dict[str, Any]:
        """Keys and values of the block."""
        return {line.key: line.value for line in self.lines}

    def text(self, name: str) -> str:
        """Return the block as YAML, each key with its reason.

        Args:
            name: Path of the converted file.
        """
        lines = [
            '',
            f'# shape of the mini-batch and learning rate follow a plan: see `mg-basicsr plan -opt {_comment(name)}`',
            'multigrid:',
            *(f'  {line.key}: {one_line(line.value)}  # {_comment(line.why)}' for line in self.lines),
        ]
        if 'base_batch_size' not in self.keys:
            lines.append(f'  # base_batch_size: N  # {BATCH}: add it if that is not batch_size_per_gpu x ranks')
        if self.unknown:
            networks = _comment(', '.join(self.unknown))
            lines.append(f'  # the sizes that {networks} takes are not known here: `mg-basicsr check` tries them')
        return '\n'.join(lines) + '\n'


def official_batch(official: OfficialGpus | None, options: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return the clips per iteration that a file was made for, and the reason; None if the file does not say.

    Args:
        official: Number of GPUs that the file was made for.
        options: The whole file, for its batch size per GPU.
    """
    datasets = options.get('datasets')
    train_set = datasets.get('train') if isinstance(datasets, Mapping) else None
    per_gpu = train_set.get('batch_size_per_gpu') if isinstance(train_set, Mapping) else None
    if official is None or not isinstance(per_gpu, int) or isinstance(per_gpu, bool) or per_gpu < 1:
        return None, ''
    gpus = f'{official.gpus} GPU{"s" * (official.gpus > 1)}'
    return official.gpus * per_gpu, f'{BATCH}: {gpus} ({official.where}) x {per_gpu}'


def conversion(file: OptionsFile, preset: Preset[Any], choices: Choices) -> Conversion:
    """Return the block of a preset for a file.

    Args:
        file: The options file without a block.
        preset: The preset.
        choices: What the user has chosen.

    Raises:
        ConfigError: the file cannot be planned, is the second phase of a network's training, the block would gain
            nothing, or the preset cannot have the schedule that the file has itself.
    """
    schedule = own_schedule(file.options)
    file = with_whole_batches(file, schedule)
    needs = needs_of(file.options, 1)
    if 'other' in needs.kinds:
        raise ConfigError(
            Problem(
                'network_g.type',
                f'{", ".join(needs.networks)} is not trained on pairs of crops',
                'allowed: networks that restore crops or clips',
                'train it without the multigrid block',
            )
        )
    adopted = _adopted(preset, schedule)
    draft = replace(_draft(file, preset, choices, adopted), schedule=schedule, adopted=adopted is not None)
    needs = needs_of(file.options, draft.settings.baseline.scale)
    if needs.second_phase:
        raise ConfigError(Problem(needs.second_phase, *second_phase_texts()))
    warnings = advice(_with_block(file, draft.keys), draft.settings)
    of_the_file = [warning for warning in warnings if warning.option.startswith('datasets.')]
    if of_the_file:
        raise ConfigError(*of_the_file)
    if speedup(draft.settings) < GAIN and choices.store is None and not draft.adopted:
        raise ConfigError(_no_gain(file, preset, draft.settings, needs, choices))
    return draft


def gain(settings: Settings, adopted: bool) -> str:
    """Return what a block gains, in words.

    Args:
        settings: The file with the block, resolved.
        adopted: Whether its stages are those of the file's own schedule.
    """
    return "those of the file's own schedule" if adopted else f'ideal speed-up {speedup(settings):.2f}x'


def speedup(settings: Settings) -> float:
    """Return the ideal speed-up of a plan: pixels of the file's run relative to those of the plan's."""
    return float(describe(settings.plan, settings.baseline)['ideal_speedup'])


def default_preset(schedule: OwnSchedule | None, usual: str) -> str:
    """Return the name of the preset for a file: the usual one, or one that can have the file's own schedule.

    Args:
        schedule: Schedule of the file's own.
        usual: Name of the preset for files without one.
    """
    if schedule is None or len(schedule.iters) == 1:
        return usual
    return next((preset.name for preset in loaded() if preset.adopt(schedule) is not None), usual)


def _adopted(preset: Preset[Any], schedule: OwnSchedule | None) -> dict[str, Any] | None:
    """Return the keys that make the file's own schedule; None if it has none, or one of a single stage.

    Raises:
        ConfigError: the preset has no such keys.
    """
    if schedule is None or len(schedule.iters) == 1:
        return None
    keys = preset.adopt(schedule)
    if keys is None:
        others = ' | '.join(other.name for other in loaded() if other.adopt(schedule) is not None)
        raise ConfigError(
            Problem(
                f'--preset {preset.name}',
                f'the file has its own schedule, of {len(schedule.iters)} stages, which this preset cannot have',
                f'allowed: {others}; others where datasets.train.gt_sizes and mini_batch_sizes have one entry each',
                f'--preset {others} moves the schedule into the block',
            )
        )
    return keys


def _draft(
    file: OptionsFile, preset: Preset[Any], choices: Choices, adopted: Mapping[str, Any] | None = None
) -> Conversion:
    """Return the block, which may gain nothing.

    Args:
        file: The options file, whose train loop leaves each batch whole.
        preset: The preset.
        choices: What the user has chosen.
        adopted: Keys that make the file's own schedule, in place of those that the preset suggests.

    Raises:
        ConfigError: the file cannot be planned.
    """
    meanings = descriptions(preset.block)
    suggested = [
        Suggestion(key, value, meanings.get(key, f'of preset {preset.name}'))
        for key, value in (adopted or preset.suggest(file.options)).items()
    ]
    first = {'preset': preset.name, **{line.key: line.value for line in suggested}}
    base = resolve(_with_block(file, first)).baseline
    needs = needs_of(file.options, base.scale)
    chosen = [
        Suggestion('base_batch_size', choices.base_batch_size, choices.why_batch),
        Suggestion('precision', choices.precision, f'{meanings["precision"]}; see docs/precision.md'),
        Suggestion('store', choices.store, 'crops are read from here: `mg-basicsr prepare` makes it'),
    ]
    own = [*suggested, *preset.suit(needs, base), *(line for line in chosen if line.value is not None)]
    keys = {'preset': preset.name, **{line.key: line.value for line in own}}
    settings = resolve(_with_block(file, keys))
    stages = len(settings.plan.stages)
    why = f'{preset.summary}: {stages} stage{"s" * (stages > 1)}, {gain(settings, adopted is not None)}'
    return Conversion((Suggestion('preset', preset.name, why), *own), settings, needs.unknown)


def _with_block(file: OptionsFile, block: Mapping[str, Any]) -> OptionsFile:
    return OptionsFile(file.path, file.force_yml, {**file.options, 'multigrid': dict(block)}, file.merges)


def _no_gain(file: OptionsFile, preset: Preset[Any], settings: Settings, needs: Needs, choices: Choices) -> Problem:
    """Return the problem of a file for which a preset has no smaller shape, with what would gain something."""
    base = settings.baseline
    full = base.size // base.scale
    fixed = 'images have one frame' if base.frames == 1 else f'{base.frames} frames are fixed'
    frames = f' and {fixed}' if base.fixed_frames else ''
    behind = needs.only or needs.smallest
    if behind.network and needs.smallest_crop(full) == full:
        network = behind.network
        reason, larger = f'{network} takes no smaller LQ crop than {full}{frames}', None
    else:
        least = min(full, CycleBlock.min_lq_size)
        reason = f'its crops of LQ {full} have no room above the smallest that is planned, LQ {least}{frames}'
        larger = f'set a larger datasets.train.gt_size, such as {2 * base.size}'
    others = _gaining(file, preset, choices)
    ways = [*others, *([larger] if larger else []), 'train it without the block']
    return Problem(
        f'--preset {preset.name}',
        f'nothing would be gained for {file.path}, ideal speed-up {speedup(settings):.2f}x: {reason}',
        'needed: smaller crops or shorter clips in some stage; or --store, which speeds up loading alone',
        '; or '.join(ways),
    )


def _gaining(file: OptionsFile, preset: Preset[Any], choices: Choices) -> list[str]:
    """Return the presets that would gain something, as advice."""
    found = []
    for other in loaded():
        if other is preset:
            continue
        try:
            draft = _draft(file, other, choices)
        except ConfigError:  # needs keys that cannot be suggested, or does not suit the file
            continue
        warnings = advice(_with_block(file, draft.keys), draft.settings)
        if speedup(draft.settings) >= GAIN and not warnings:
            sizes = sorted({shape.size // draft.settings.baseline.scale for shape in draft.settings.plan.shapes})
            listed = ', '.join(map(str, sizes))
            found.append(f'try --preset {other.name} (LQ {listed}; ideal speed-up {speedup(draft.settings):.2f}x)')
    return found


def _comment(text: str) -> str:
    """Return a text that can stand in a comment."""
    return ' '.join(printable(text).split())
