"""Options of the training set, `datasets.train`: read once, for the plan and for the data sets.

Names and defaults are BasicSR's (docs/DatasetPreparation.md and the classes in basicsr/data). Allowed values are those
that BasicSR accepts without any conversion: a crop of 256.0 pixels fails there.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mg_basicsr.dataset_types import ADAPTER, OUR_PREFIX, SEPTUPLET, TYPES, WINDOWED, DatasetType, converts
from mg_basicsr.errors import Problem
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import (
    MOST_CLIPS,
    Parser,
    boolean,
    choice,
    host_number,
    host_positive,
    list_of,
    optional,
    path,
    strict_integer,
    text,
)

BLOCK = 'datasets.train'
PATHS = ('dataroot_gt', 'dataroot_lq', 'meta_info_file')
PARTITIONS = ('REDS4', 'official')
BACKENDS = ('disk', 'lmdb', 'store')
PREFETCH_MODES = ('cpu', 'cuda')

COUNT = strict_integer(1)
INTERVALS = list_of(COUNT, 'a list of integers >= 1, such as [1]')
CHANNELS = list_of(host_number, 'a list of numbers, one for each channel')


@dataclass(frozen=True, slots=True)
class TrainSetOptions:
    """Options of one training set, for this package's data sets.

    Attributes:
        dataroot_gt: Folder of GT PNGs, or LMDB folder.
        dataroot_lq: Folder of LQ PNGs, or LMDB folder.
        dataroot_flow: Quantised flows (REDS sliding window only), or None.
        meta_info_file: List of sequences or images, or None (images found by listing the folder).
        backend: 'disk', 'lmdb' or 'store'.
        store: Folder of the crop store, with backend 'store'.
        val_partition: 'REDS4', 'official' or None.
        test_mode: Whether to use the validation clips instead of the others (REDS recurrent only).
        num_frame: Frames of a full-size clip; None for the whole clip (-1 in the file).
        gt_size: Edge of the full-size GT crop in pixels; a multiple of `scale`.
        scale: GT pixels per LQ pixel and axis.
        interval_list: Steps between neighbouring frames to choose from, each >= 1.
        random_reverse: Whether half of the clips are reversed in time.
        use_hflip: Whether half of the clips are flipped left-right.
        use_rot: Whether half of the clips are flipped top-bottom, and half transposed.
        flip_sequence: Whether the reversed clip is appended (Vimeo recurrent only).
        filename_tmpl: Name of an LQ image, without extension, from that of its GT image.
        color: Conversion of BasicSR's PairedImageDataset, or None.
        mean: Mean that BasicSR's PairedImageDataset subtracts from each channel, or None.
        std: Divisor that BasicSR's PairedImageDataset applies to each channel, or None.
        degradation: How LQ was made from GT, 'bicubic' or 'bd'; None if unknown. Not an option of BasicSR.
    """

    dataroot_gt: str
    dataroot_lq: str
    gt_size: int
    scale: int
    use_hflip: bool
    use_rot: bool
    dataroot_flow: str | None = None
    meta_info_file: str | None = None
    backend: str = 'disk'
    store: str | None = None
    val_partition: str | None = None
    test_mode: bool = False
    num_frame: int | None = None
    interval_list: tuple[int, ...] = (1,)
    random_reverse: bool = False
    flip_sequence: bool = False
    filename_tmpl: str = '{}'
    color: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    degradation: str | None = None

    @classmethod
    def parse(cls, block: Mapping[str, Any], scale: object) -> TrainSetOptions:
        """Read the options for a data set of the caller's choice: `type` is ignored.

        Args:
            block: BasicSR's `datasets.train` dictionary.
            scale: Top-level `scale` of the file.

        Raises:
            ConfigError: values cannot be used; it holds every problem, each under its dotted path.
        """
        problems = Problems()
        section = Section(BLOCK, block, problems)
        options = _own_options(section, None, problems.parse('scale', scale, COUNT, 1))
        problems.raise_if_any()
        return options

    def replace(self, **changes: Any) -> TrainSetOptions:
        """Return the same options with some values changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class TrainSet:
    """Training set of an options file.

    Attributes:
        name: Type of the set.
        gt_size: Edge of the full-size GT crop in pixels; a multiple of `scale`.
        scale: GT pixels per LQ pixel and axis.
        frames: Frames of a full-size sample as the network sees them, a mirrored half included.
        kind: Entry of the type in the table; None for a type that only the host knows.
        options: Options of this package's data set; None if the host's own is adapted.
        mirrored: Whether the reversed clip follows the clip.
        sliding_window: Whether a sample has one GT frame: then the network accepts only this number of frames.
    """

    name: str
    gt_size: int
    scale: int
    frames: int
    kind: DatasetType | None = None
    options: TrainSetOptions | None = None
    mirrored: bool = False
    sliding_window: bool = False


def train_set_of(options: Mapping[str, Any]) -> TrainSet:
    """Return the training set of an options file.

    Raises:
        ConfigError: the set cannot be used; it holds every problem.
    """
    problems = Problems()
    train_set = read_train_set(Section('', options, problems))
    problems.raise_if_any()
    return train_set


def read_train_set(file: Section, own_classes: Collection[str] = (), sample_frames: int | None = None) -> TrainSet:
    """Read `datasets.train` and `scale`; every problem is added to those of `file`, the whole options file.

    For a type that only the host knows, only the options that a plan needs are read: such a type is treated as
    recurrent if it has a `num_frame`, and as an image set otherwise. The adapter checks its samples.

    Args:
        file: The whole options file.
        own_classes: Types of the table that are classes of the repository's own. One whose options are not those of
            BasicSR's class is a type that only the host knows.
        sample_frames: Frames of a sample of a type that only the host knows, if the block says so.
    """
    scale = file.read('scale', COUNT, 1, default=1)
    section = file.section('datasets').section('train')
    # a set without a type is made by the repository's own code, unless options of BasicSR's classes are beside it
    needs_type = any((section.values or {}).get(key) is not None for key in PATHS)
    name = section.read('type', text if needs_type else optional(text), None) or ''
    adapted = name == ADAPTER
    kind = _kind(section, section.read('base_type', text, '') if adapted else name)
    options = None
    if kind and not adapted and not (kind.layout == 'images' and converts(section.values or {})):
        options = _options_by_name(section, name, kind, scale, name in own_classes)
    if options and kind:
        size, num_frame, mirrored = options.gt_size, options.num_frame, options.flip_sequence and kind.can_mirror
    else:
        size = _gt_size(section, scale)
        num_frame = sample_frames or _num_frame(section, None if name in own_classes else kind, name)
        mirrored = kind is not None and kind.can_mirror and section.read('flip_sequence', boolean, False, default=False)
    frames = num_frame or (kind and kind.frames) or 1
    return TrainSet(
        name=name,
        gt_size=size,
        scale=scale,
        frames=2 * frames if mirrored else frames,
        kind=kind,
        options=options,
        mirrored=mirrored,
        sliding_window=kind is not None and kind.sliding_window,
    )


def read_batch_size(file: Section) -> int:
    """Read `batch_size_per_gpu` of `datasets.train`: clips per iteration on each rank.

    The other options of the host's loader are checked as well, since wrong values would end the run when it starts.
    """
    section = file.section('datasets').section('train')
    section.read('num_worker_per_gpu', optional(strict_integer(0)), None)
    section.read('dataset_enlarge_ratio', optional(host_positive), None)
    section.read('prefetch_mode', optional(choice(*PREFETCH_MODES)), None)
    return section.read('batch_size_per_gpu', strict_integer(1, MOST_CLIPS), 1)


def gt_size_problem(gt_size: int, scale: int) -> Problem:
    """Return the problem of a GT crop that is not a whole number of LQ pixels.

    Args:
        gt_size: Edge of the crop in pixels.
        scale: GT pixels per LQ pixel and axis.
    """
    return Problem(
        f'{BLOCK}.gt_size',
        f'{gt_size} is not a multiple of scale: {scale}',
        'allowed: a positive multiple of the scale, so that GT and LQ crops show the same pixels',
        f'use {max(scale, gt_size // scale * scale)}',
    )


def window_problem(frames: int) -> Problem:
    """Return the problem of a sliding window of an even number of frames."""
    return Problem(
        f'{BLOCK}.num_frame',
        f'a sliding window of {frames} frames has no center frame',
        f'allowed: an odd number for {BLOCK}.num_frame and in multigrid.temporal',
        f'use {frames - 1} or {frames + 1}',
    )


def lmdb_problem(key: str, root: str) -> Problem:
    """Return the problem of an LMDB whose name does not end in .lmdb, as BasicSR requires.

    Args:
        key: Option of `datasets.train`.
        root: Value of the option.
    """
    return Problem(
        f'{BLOCK}.{key}',
        f'{root} is not named like an LMDB',
        'allowed: a folder whose name ends in .lmdb',
        f'correct the path, or set {BLOCK}.io_backend.type: disk',
    )


def unknown_degradation(where: str) -> Problem:
    """Return the problem of crops that are to be resampled although the degradation is unknown.

    Args:
        where: Path of the LQ frames, or of the store.
    """
    return Problem(
        'multigrid.spatial_stride',
        f'true, but how LQ was made from GT is not known for {where}',
        'allowed: with degradation bicubic or bd, in the block or in the header of the store',
        'set multigrid.degradation if the LQ frames were made so, or remove spatial_stride',
    )


def _kind(section: Section, name: str) -> DatasetType | None:
    """Return the entry of a type; the option `recurrent` chooses between the two of this package's types."""
    if name in WINDOWED and not section.read('recurrent', boolean, True, default=True):
        return WINDOWED[name]
    return TYPES.get(name)


def _options_by_name(
    section: Section, name: str, kind: DatasetType, scale: int, is_own: bool
) -> TrainSetOptions | None:
    """Return the options for a type of the table; None if they are those of another class under its name.

    Problems are added to those of the section, unless it is known that the class is another.
    """
    alone = Section(section.path, section.values, Problems())
    options = _own_options(alone, kind, scale)
    found = alone.problems.found
    if found and is_own:
        return None
    if not name.startswith(OUR_PREFIX):
        found = [_unless_own(problem, name) for problem in found]
    section.problems.found.extend(found)
    return options


def _unless_own(problem: Problem, name: str) -> Problem:
    """Return a problem of an option that a class of the repository's own, under a name of BasicSR's, may not have."""
    if problem.option.rpartition('.')[2] in ('gt_size', 'num_frame'):  # a plan needs them, whatever the class
        return problem
    own = f'`run` and `check --script` know if {name} is a class of your repository, whose options are not checked'
    return problem._replace(remedy=f'{problem.remedy}; {own}')


def _own_options(section: Section, kind: DatasetType | None, scale: int) -> TrainSetOptions:
    """Read the options of one of this package's data sets; without a kind, only those that all need are required."""
    with_list = kind is not None and kind.layout != 'images'  # images can be found by listing their folder
    meta_info_file: Parser[str | None] = path if with_list else optional(path)
    partition: Parser[str | None] = choice(*PARTITIONS) if kind and kind.layout == 'reds' else optional(text)
    backend = section.section('io_backend', default={})
    backend_name = backend.read('type', choice(*BACKENDS), 'disk')
    options = TrainSetOptions(
        dataroot_gt=os.path.expanduser(section.read('dataroot_gt', path, '')),  # BasicSR expands only these two
        dataroot_lq=os.path.expanduser(section.read('dataroot_lq', path, '')),
        dataroot_flow=section.read('dataroot_flow', optional(path), None),
        meta_info_file=section.read('meta_info_file', meta_info_file, None),
        backend=backend_name,
        store=os.path.expanduser(backend.read('path', path, '')) if backend_name == 'store' else None,
        val_partition=section.read('val_partition', partition, None),
        test_mode=section.read('test_mode', boolean, False, default=False),
        num_frame=_num_frame(section, kind) if kind else section.read('num_frame', or_whole(COUNT), None),
        gt_size=_gt_size(section, scale),
        scale=scale,
        interval_list=section.read('interval_list', INTERVALS, (1,), default=[1]),
        random_reverse=section.read('random_reverse', boolean, False, default=False),
        use_hflip=section.read('use_hflip', boolean, False),
        use_rot=section.read('use_rot', boolean, False),
        flip_sequence=section.read('flip_sequence', boolean, False, default=False),
        filename_tmpl=section.read('filename_tmpl', template, '{}', default='{}'),
        color=section.read('color', optional(text), None),
        mean=section.read('mean', optional(CHANNELS), None),
        std=section.read('std', optional(CHANNELS), None),
    )
    if kind:
        _check_for_kind(section, kind, options)
    return options


def _check_for_kind(section: Section, kind: DatasetType, options: TrainSetOptions) -> None:
    """Add problems of values that are possible, but not for this kind of set."""
    frames = options.num_frame
    if kind.sliding_window and frames and frames % 2 == 0:
        section.problems.found.append(window_problem(frames))
    if kind.layout == 'images' and options.backend == 'lmdb':
        roots = {'dataroot_gt': options.dataroot_gt, 'dataroot_lq': options.dataroot_lq}
        wrong = [lmdb_problem(key, root) for key, root in roots.items() if root and not root.endswith('.lmdb')]
        section.problems.found.extend(wrong)


def _num_frame(section: Section, kind: DatasetType | None, name: str = '') -> int | None:
    """Read `num_frame`; None for whole sequences, and for sets without it."""
    if kind is None:
        # all frames of a sequence: of a septuplet, if the type is named so, which is checked when it is there
        whole = 'vimeo' in name.lower() and (section.values or {}).get('num_frame') == -1
        return SEPTUPLET if whole else section.read('num_frame', optional(_sample_frames), None)
    if kind.layout == 'images':
        return None
    if kind.frames is None:
        return section.read('num_frame', COUNT, None)
    if kind.sliding_window:
        return section.read('num_frame', or_whole(strict_integer(1, kind.frames)), None)
    # BasicSR's class takes the whole sequence, however many frames the option asks for
    frames = section.read('num_frame', or_whole(COUNT), None)
    return None if frames is None or frames > kind.frames else frames


def _sample_frames(value: Any) -> int:
    """Parse the frames of a sample of a type that only the host knows.

    Raises:
        ValueError: the value is no number, or -1: how many frames these are, only the class knows.
    """
    if type(value) is int and value == -1:
        raise ValueError('the frames of a sample, here or as multigrid.adapter: {frames: N}; what -1 is, is not known')
    return COUNT(value)


def _gt_size(section: Section, scale: int) -> int:
    size = section.read('gt_size', COUNT, scale)
    if size % scale:
        section.problems.found.append(gt_size_problem(size, scale))
    return size


def or_whole(parser: Parser[int]) -> Parser[int | None]:
    """Return a parser of a number of frames that parses None and -1 as None: all frames of a sequence."""
    return lambda value: None if value is None or (type(value) is int and value == -1) else parser(value)


def template(value: Any) -> str:
    """Parse the template of a name, such as '{}x4', in which {} is the GT image's name.

    Raises:
        ValueError: the value is not text, or has other fields.
    """
    try:
        text(value).format('name')
    except (AttributeError, LookupError, TypeError, ValueError):
        raise ValueError("a text with {} for the GT image's name, such as '{}x4'") from None
    return text(value)
