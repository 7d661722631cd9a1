"""Schedule of crops and mini-batches that an options file has itself, as in repositories built on Restormer's code.

Their train loop reads three lists of `datasets.train` at every iteration, and cuts each batch of `gt_size` pixels and
`batch_size_per_gpu` clips to the entry of its stage. It fails without the lists. Where an entry is not smaller than the
whole, nothing is cut: beside a block, lists of one such entry leave each batch as the plan makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.parsing.problems import Problems, shown
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import MOST_CLIPS, integer, list_of, strict_integer

SET = 'datasets.train'
SIZES, CLIPS, ITERS = 'gt_sizes', 'mini_batch_sizes', 'iters'
WHOLE = {SIZES: 'gt_size', CLIPS: 'batch_size_per_gpu'}  # the option that each list takes parts of

COUNTS = list_of(strict_integer(1), 'a list of integers >= 1, one for each stage')
MINI_BATCHES = list_of(strict_integer(1, MOST_CLIPS), f'a list of integers from 1 to {MOST_CLIPS}, one for each stage')


@dataclass(frozen=True)
class OwnSchedule:
    """Schedule of a file, as its train loop follows it.

    Attributes:
        sizes: GT crops in pixels, one for each stage.
        clips: Clips of one rank.
        iters: Iterations; together those of the file.
    """

    sizes: tuple[int, ...]
    clips: tuple[int, ...]
    iters: tuple[int, ...]

    @property
    def options(self) -> dict[str, Any]:
        """Options of `datasets.train` with which the train loop leaves each batch whole: the largest of each list."""
        size, clips = max(self.sizes), max(self.clips)
        return {
            'gt_size': size,
            'batch_size_per_gpu': clips,
            SIZES: [size],
            CLIPS: [clips],
            ITERS: [sum(self.iters)],
        }


def own_schedule(options: Mapping[str, Any]) -> OwnSchedule | None:
    """Return the schedule of an options file; None if it has none, or one that leaves each batch whole.

    Args:
        options: The whole file.

    Raises:
        ConfigError: the lists cannot be followed; the train loop would fail with them.
    """
    train_set = _train_set(options)
    if not _cutting(train_set):
        return None
    problems = Problems()
    root = Section('', options, problems)
    section = root.section('datasets').section('train')
    size = section.read(WHOLE[SIZES], strict_integer(1), 1)
    batch = section.read(WHOLE[CLIPS], strict_integer(1, MOST_CLIPS), 1)
    total = root.section('train').read('total_iter', integer(1), 1)
    sizes: tuple[int, ...] = section.read(SIZES, COUNTS, ())
    clips: tuple[int, ...] = section.read(CLIPS, MINI_BATCHES, ())
    iters: tuple[int, ...] = section.read(ITERS, COUNTS, ())
    lengths = {SIZES: len(sizes), CLIPS: len(clips), ITERS: len(iters)}
    if not problems.found and len({*lengths.values()}) > 1:
        counts = ', '.join(f'{length} {name}' for name, length in lengths.items())
        problems.add(f'{SET}.{SIZES}', counts, 'allowed: three lists of equal length', 'correct them')
    problems.raise_if_any()
    return _merged([min(value, size) for value in sizes], [min(value, batch) for value in clips], _within(iters, total))


def with_whole_batches(file: OptionsFile, schedule: OwnSchedule | None) -> OptionsFile:
    """Return an options file whose train loop leaves each batch whole; the same one without a schedule.

    Args:
        file: The options file.
        schedule: Its schedule.
    """
    if schedule is None:
        return file
    datasets = file.options['datasets']
    options = {**file.options, 'datasets': {**datasets, 'train': {**datasets['train'], **schedule.options}}}
    return replace(file, options=options)


def check_own_schedule(options: Mapping[str, Any], problems: Problems) -> None:
    """Add a problem for a schedule of the file's own beside the block.

    Args:
        options: The whole file.
        problems: Collection to which the problem is added.
    """
    train_set = _train_set(options)
    cutting = _cutting(train_set)
    if not cutting:
        return
    try:
        found = own_schedule(options)
    except ConfigError:  # reported where they are read, or by the train loop
        found = None
    whole = found.options if found else {name: [train_set.get(of)] for name, of in WHOLE.items()}
    lists = [f'{name}: {shown(whole[name])}' for name in (SIZES, CLIPS, ITERS) if name in whole and name in train_set]
    problems.add(
        f'{SET}.{cutting[0]}',
        f"{shown(train_set[cutting[0]])} is a schedule of the file's own beside the multigrid block",
        f'allowed: one schedule of shapes, and lists that leave its batches whole: {", ".join(lists)}',
        '`mg-basicsr convert` writes these, which the train loop needs, and moves the schedule into the block'
        if found
        else 'write them so, since the train loop may need them; preset progressive takes such lists in the block',
    )


def _train_set(options: Mapping[str, Any]) -> Mapping[str, Any]:
    datasets = options.get('datasets')
    train_set = datasets.get('train') if isinstance(datasets, Mapping) else None
    return train_set if isinstance(train_set, Mapping) else {}


def _cutting(train_set: Mapping[str, Any]) -> list[str]:
    """Return the lists that let the train loop cut batches, or that cannot be read."""
    return [name for name, of in WHOLE.items() if train_set.get(name) is not None and _cuts(train_set, name, of)]


def _cuts(train_set: Mapping[str, Any], name: str, of: str) -> bool:
    values, whole = train_set[name], train_set.get(of)
    if not isinstance(values, list) or not values or type(whole) is not int:
        return True
    return any(type(value) is not int or value < whole for value in values)


def _within(iters: tuple[int, ...], total: int) -> list[int]:
    """Return the iterations of each stage within a run: the last stage lasts to the end, others may be left out."""
    found, left = [], total
    for n, count in enumerate(iters):
        found.append(left if n == len(iters) - 1 else min(count, left))
        left -= found[-1]
    return found


def _merged(sizes: list[int], clips: list[int], iters: list[int]) -> OwnSchedule:
    """Return the schedule without stages that are like the one before, or that have no iteration."""
    stages: list[tuple[int, int, int]] = []
    for size, count, length in zip(sizes, clips, iters, strict=True):
        if stages and stages[-1][:2] == (size, count):
            stages[-1] = (size, count, stages[-1][2] + length)
        elif length:
            stages.append((size, count, length))
    return OwnSchedule(*zip(*stages, strict=True))
