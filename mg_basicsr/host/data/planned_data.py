"""The training set of a run: made as its options file says, and checked against every shape of its plan."""

from __future__ import annotations

from typing import NamedTuple

from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.errors import ConfigError, MultigridError, Problem
from mg_basicsr.host.data.datasets import our_dataset
from mg_basicsr.host.data.grids import run_grid
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.grid import Grid
from mg_basicsr.train_set import train_set_of

CHECKED_SEQUENCES = 300  # all of REDS; of Vimeo-90K's 64,612 a sample


class PlannedData(NamedTuple):
    """Settings of a run and its data.

    Attributes:
        settings: What the options file asks for.
        dataset: Our dataset; None where the host's own is adapted.
        grid: The sampling grid.
    """

    settings: Settings
    dataset: ClipDataset | None
    grid: Grid


def resolve_with_data(file: OptionsFile, world_size: int) -> PlannedData:
    """Resolve an options file, and make and check its training set.

    Args:
        file: An options file with a block.
        world_size: Ranks.

    Raises:
        ConfigError: The options cannot be used. What is wrong with the data is reported together with that.
        DataError: The data is missing, damaged, or does not fit the shapes.
    """
    try:
        settings = resolve(file, world_size)
    except ConfigError as error:
        raise ConfigError(*error.problems, *_problems_of_data(file)) from None
    dataset = our_dataset(settings.train_set, settings.block.store, settings.block.degradation)
    grid = run_grid(settings, dataset)
    if dataset is not None:
        check_data(dataset, settings)
    return PlannedData(settings, dataset, grid)


def check_data(dataset: ClipDataset, settings: Settings, sequences: int = CHECKED_SEQUENCES) -> None:
    """Check every distinct shape of the plan against all sequences, and that frames exist.

    Args:
        dataset: The training set.
        settings: The run's.
        sequences: Most sequences whose frames are looked for.

    Raises:
        ConfigError, DataError: With what does not fit or is missing.
    """
    shapes = {(shape.frames, shape.size) for stage in settings.plan.stages for shape in stage.spec.shapes}
    for frames, size in sorted(shapes, reverse=True):
        dataset.check(frames, size)
    dataset.check_files(sequences, tolerant=settings.block.on_bad_frame == 'skip_clip')


def _problems_of_data(file: OptionsFile) -> tuple[Problem, ...]:
    """Return what is wrong with the data of a file that has other problems, where its set can be made all the same."""
    try:
        train_set = train_set_of(file.options)
    except ConfigError:  # among the other problems already
        return ()
    try:
        our_dataset(train_set)
    except MultigridError as error:
        return error.problems
    return ()
