"""Training set of a run: made from its options file, and checked against every shape of its plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.errors import ConfigError, DataError, MultigridError, Problem
from mg_basicsr.host.data.datasets import our_dataset
from mg_basicsr.host.data.grids import run_grid
from mg_basicsr.host.known_classes import known_classes
from mg_basicsr.host.lmdbs import lmdb_problems
from mg_basicsr.host.log import log_at_start
from mg_basicsr.host.needed import needed_problems, store_problems
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
    classes = known_classes()
    own = classes.own_datasets
    known = _without_own_sets(file.options, own)
    needed = needed_problems(known, auto_resume)
    damaged = lmdb_problems(file.options)
    needed += damaged
    if rank == 0:
        needed += validation_problems(known)
    try:
        settings = resolve(file, world_size, classes, whole)
    except ConfigError as error:
        raise ConfigError(
            *_each_once(error.problems, [] if damaged else _problems_of_data(file, own), needed)
        ) from None
    if damaged or store_problems(file.options):  # of the data, nothing else can be checked
        raise ConfigError(*needed)
    try:
        dataset, grid = _dataset_and_grid(settings)
    except MultigridError as error:
        name, block = settings.train_set.name, settings.block
        if name not in own or block.store or block.temporal_stride or block.spatial_stride:
            raise type(error)(*_each_once(error.problems, needed)) from None
        dataset, grid = None, run_grid(settings, None)
        log_at_start(f"multigrid: {name} is the repository's own class, whose files are not known: {error.problems[0]}")
    if needed:
        raise ConfigError(*needed)
    return PlannedData(settings, dataset, grid)


def _without_own_sets(options: Mapping[str, Any], own_classes: Collection[str]) -> Mapping[str, Any]:
    """Return options without the data sets of other classes than BasicSR's, whose files are not known."""
    datasets = options.get('datasets')
    if not own_classes or not isinstance(datasets, Mapping):
        return options
    known = {
        name: section
        for name, section in datasets.items()
        if not isinstance(section, Mapping) or str(section.get('type')) not in own_classes
    }
    return {**options, 'datasets': known}


def _dataset_and_grid(settings: Settings) -> tuple[ClipDataset | None, Grid]:
    """Return this package's dataset, or None if the host's own is adapted, and the sampling grid.

    Raises:
        ConfigError: a path does not exist, or what the options ask for does not fit.
        DataError: the data is missing, damaged, or does not fit the shapes.
    """
    dataset = our_dataset(settings.train_set, settings.block.store, settings.block.degradation)
    grid = run_grid(settings, dataset)
    if dataset is not None:
        check_data(dataset, settings)
    return dataset, grid


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
    tolerant = settings.block.on_bad_frame == 'skip_clip'
    checks += [partial(_check_files, dataset, sequences, tolerant)]
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


def _check_files(dataset: ClipDataset, sequences: int, tolerant: bool) -> None:
    dataset.check_files(sequences, tolerant=tolerant)
    if not tolerant:  # the one clip that is compared may be a bad one
        dataset.check_sizes()


def _problems_of_data(file: OptionsFile, own_classes: Collection[str]) -> tuple[Problem, ...]:
    """Return the problems of the data of a file that has other problems, if its training set can be made anyway.

    Args:
        file: The options file.
        own_classes: Names of data sets that stand for other classes, whose files are not known.
    """
    try:
        train_set = train_set_of(file.options)
    except ConfigError:  # reported among the other problems
        return ()
    if train_set.name in own_classes:
        return ()
    try:
        our_dataset(train_set)
    except MultigridError as error:
        return error.problems
    return ()
