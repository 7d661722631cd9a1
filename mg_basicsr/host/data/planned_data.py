"""Training set of a run: made from its options file, and checked against every shape of its plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from mg_basicsr.config.host_classes import HostClasses
from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.errors import ConfigError, DataError, MultigridError, Problem
from mg_basicsr.host.data.datasets import our_dataset
from mg_basicsr.host.data.grids import run_grid
from mg_basicsr.host.needed import needed_problems, store_problems
from mg_basicsr.host.pair_pool import pool_models
from mg_basicsr.host.validation_files import validation_problems
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.grid import Grid
from mg_basicsr.train_set import train_set_of

CHECKED_SEQUENCES = 300  # all of REDS, and a sample of Vimeo-90K's 64,612


class PlannedData(NamedTuple):
    """Settings of a run and its data.

    Attributes:
        settings: The resolved options file.
        dataset: This package's dataset; None if the host's own is adapted.
        grid: The sampling grid.
    """

    settings: Settings
    dataset: ClipDataset | None
    grid: Grid


def resolve_with_data(
    file: OptionsFile, world_size: int, *, rank: int = 0, whole: bool = False, auto_resume: bool = False
) -> PlannedData:
    """Resolve an options file, make and check its training set, and look for all other files that the run needs.

    Args:
        file: An options file with a block.
        world_size: Number of ranks, >= 1.
        rank: Rank of this process: the frames of validation sets are looked at by the first only.
        whole: Whether options that only the host's train loop needs must be there; otherwise in whole files only.
        auto_resume: Whether the run resumes from the newest checkpoint of its experiment.

    Raises:
        ConfigError: the options cannot be used, or a file is missing; it holds all problems, the data's too.
        DataError: the data is missing, damaged, or does not fit the shapes.
    """
    needed = needed_problems(file.options, auto_resume)
    if rank == 0:
        needed += validation_problems(file.options)
    try:
        settings = resolve(file, world_size, HostClasses(pool_models()), whole)
    except ConfigError as error:
        raise ConfigError(*_each_once(error.problems, _problems_of_data(file), needed)) from None
    if store_problems(file.options):  # of the data, nothing else can be checked
        raise ConfigError(*needed)
    try:
        dataset = our_dataset(settings.train_set, settings.block.store, settings.block.degradation)
        grid = run_grid(settings, dataset)
        if dataset is not None:
            check_data(dataset, settings)
    except MultigridError as error:
        raise type(error)(*_each_once(error.problems, needed)) from None
    if needed:
        raise ConfigError(*needed)
    return PlannedData(settings, dataset, grid)


def _each_once(*groups: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems of all groups, without those of options that an earlier group has named already."""
    named: set[str] = set()
    for group in groups:
        new = [problem for problem in group if not problem.option or problem.option not in named]
        yield from new
        named |= {problem.option for problem in new}


def check_data(dataset: ClipDataset, settings: Settings, sequences: int = CHECKED_SEQUENCES) -> None:
    """Check every distinct shape of the plan against all sequences, and that frames exist.

    Args:
        dataset: The training set.
        settings: Settings of the run.
        sequences: Most sequences whose frames are looked for.

    Raises:
        ConfigError: a shape does not fit a sequence.
        DataError: frames are missing.
    """
    shapes = {(shape.frames, shape.size) for shape in settings.plan.shapes}
    checks = [partial(dataset.check, frames, size) for frames, size in sorted(shapes, reverse=True)]
    checks += [partial(dataset.check_files, sequences, tolerant=settings.block.on_bad_frame == 'skip_clip')]
    found: list[MultigridError] = []
    for look in checks:
        try:
            look()
        except MultigridError as error:
            if not found or look is checks[-1]:  # smaller shapes are refused for what is wrong with the largest
                found.append(error)
    if found:  # names that are wrong are often why clips seem too short as well
        kind = ConfigError if any(isinstance(error, ConfigError) for error in found) else DataError
        raise kind(*(problem for error in reversed(found) for problem in error.problems))


def _problems_of_data(file: OptionsFile) -> tuple[Problem, ...]:
    """Return the problems of the data of a file that has other problems, if its training set can be made anyway."""
    try:
        train_set = train_set_of(file.options)
    except ConfigError:  # reported among the other problems
        return ()
    try:
        our_dataset(train_set)
    except MultigridError as error:
        return error.problems
    return ()
