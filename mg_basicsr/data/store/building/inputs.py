"""Clips for a store: from folders and LMDBs, from BasicSR's lists, and from videos."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from mg_basicsr.data.crops.degradation import Degrade
from mg_basicsr.data.listing.folders import gap
from mg_basicsr.data.listing.frame_names import REDS_FRAMES, VIMEO_FRAMES, FrameNames
from mg_basicsr.data.listing.image_lists import list_images
from mg_basicsr.data.listing.meta_files import read_meta_file
from mg_basicsr.data.listing.sequences import FrameSequence, first_of, reds_split
from mg_basicsr.data.sources.image_files import EncodedSide, open_side
from mg_basicsr.data.store.building.material import ImageFiles, VideoFile
from mg_basicsr.data.store.building.pairing import (
    ListedFrames,
    check_all_gt,
    gt_there,
    lq_names,
    middle_gt_only,
    partly,
    with_middle_gt,
)
from mg_basicsr.data.store.building.roots import inside_others, no_clips, open_roots
from mg_basicsr.data.store.building.video import broken_off, inspect, split
from mg_basicsr.data.store.format import is_name
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.train_set import BLOCK, TrainSetOptions

NAMES: dict[str, FrameNames] = {'reds': REDS_FRAMES, 'vimeo': VIMEO_FRAMES}  # by layout


class Making(NamedTuple):
    """Way of making LQ frames.

    Attributes:
        scale: GT pixels per LQ pixel and axis.
        degrade: Function that makes an LQ frame of a GT frame; None if LQ frames are read.
    """

    scale: int
    degrade: Degrade | None = None


@dataclass
class Findings:
    """Entries that a listing has left out.

    Attributes:
        allow_missing: Take clips whose frame numbers have gaps, and videos that break off.
        problems: Clips that are missing, or have gaps.
        skipped: Entries that are no part of the data, with the reason.
        notes: What else is worth a line.
    """

    allow_missing: bool = False
    problems: list[Problem] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, option: str, what: str, allowed: str, remedy: str) -> None:
        """Add a problem, which does not keep the other clips from being made.

        Args:
            option: See `Problem`, as for the others.
            what: What is wrong with which clip.
            allowed: What is allowed or needed.
            remedy: What the user can do, beside passing --allow-missing.
        """
        self.problems.append(Problem(option, what, allowed, f'{remedy}, or pass --allow-missing'))

    def note(self, line: str) -> None:
        """Add a line, unless it is empty."""
        self.notes += [line] if line else []

    def raise_unless(self, found: object) -> None:
        """Check that there are clips in spite of the problems.

        Args:
            found: Anything true if there are clips.

        Raises:
            DataError: There are none; the problems are named.
        """
        if self.problems and not found:
            raise DataError(*first_of(self.problems, 'of this kind'))


def from_roots(
    gt: str, lq: str | None, making: Making, images: bool, findings: Findings | None = None
) -> list[ImageFiles]:
    """Return the clips of folders or of BasicSR's LMDBs: one per folder of frames, or one per image.

    A clip has the name of its folder, below the root; an image that of its file. Frames are in the order of the numbers
    in their names. Sizes are those of first frames; where LQ is made, GT is cut to whole LQ pixels. An LQ frame has the
    name of its GT frame, or that with another extension or with `x4` (the scale) after it.

    Args:
        gt: Root of GT.
        lq: Root of LQ; None where LQ is made.
        making: The scale, and how LQ is made.
        images: Every image is a clip.
        findings: Gets what is left out; without it, a clip that cannot be taken is an error.

    Raises:
        ConfigError: A root does not exist.
        DataError: There are no images, or no clip can be taken; without `findings`, or any clip cannot be taken.
    """
    gather = findings or Findings()
    roots = open_roots(gt, lq, images, gather.allow_missing)
    groups, lq_groups = (_groups(root.listing.names, images) if root else {} for root in roots)
    gt_side, lq_side = roots[0].side, roots[1] and roots[1].side
    for root in filter(None, roots):
        gather.problems += root.listing.problems
        gather.skipped += root.listing.skipped
    if not groups or '' in groups:
        raise DataError(no_clips(gt, groups), *first_of(gather.problems, 'of this kind'))
    if not lq and not images and not gather.allow_missing:
        _leave_out_inner(gt, groups, gather)
    middle = bool(lq) and not images and middle_gt_only(groups, lq_groups, making.scale)
    to_compare = {name: names for name, names in lq_groups.items() if not middle or name not in groups}
    _compare_sides(gt, lq, groups, to_compare, images, making.scale, gather)
    found = []
    for name, frames in groups.items():
        shown = lq_groups[name] if middle else frames
        wrong = '' if images or gather.allow_missing else gap(shown)
        if wrong:
            gather.add(f'--gt {gt}', f'clip {name} {wrong}', 'allowed: frames without gaps', 'restore the frames')
            continue
        sequence = FrameSequence(name, len(shown), 0, 0)
        try:
            height, width = gt_side.shape(sequence, frames[0])
        except DataError as error:
            gather.problems += error.problems
            continue
        cut = (0, 0) if lq_side else (height % making.scale, width % making.scale)
        sequence = sequence._replace(height=height - cut[0], width=width - cut[1])
        listed = ListedFrames(tuple(frames), lq_names(frames, lq_groups, images, making.scale))
        gt_frames: tuple[int, ...] = ()
        if middle:
            listed, gt_frames = with_middle_gt(frames[0], shown)
        found.append(ImageFiles(sequence, listed, gt_side, lq_side, making.degrade, making.scale, cut, gt_frames))
    gather.note(partly(found))
    return _checked(found, f'--gt {gt}', gather, findings is None)


def _groups(names: list[str], images: bool) -> dict[str, list[str]]:
    """Return the names of images by clip."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name if images else os.path.dirname(name), []).append(name)
    return groups


def _leave_out_inner(gt: str, groups: dict[str, list[str]], findings: Findings) -> None:
    """Add a problem for each clip in the folder of another, if no LQ frames say that it is one."""
    for name, other in inside_others(groups).items():
        what = f'{name} with {len(groups.pop(name))} images is in the folder of clip {other}'
        findings.add(f'--gt {gt}', what, 'allowed: clips beside each other', 'move it if it is a clip, or remove it')


def _compare_sides(
    gt: str,
    lq: str | None,
    groups: dict[str, list[str]],
    lq_groups: dict[str, list[str]],
    images: bool,
    scale: int,
    findings: Findings,
) -> None:
    """Add a problem for each clip of which LQ has more than GT has: GT may be incomplete."""
    if images:
        known = set(groups) | set(lq_names(list(groups), lq_groups, images, scale))
    for name, frames in lq_groups.items() if lq else ():
        what = ''
        if images:
            what = '' if name in known else f'has no image for {name} of {lq}'
        elif len(frames) > len(groups.get(name, ())):
            what = f'clip {name} has {len(groups.get(name, ()))} GT frames and {len(frames)} LQ frames in {lq}'
        if what and not findings.allow_missing:
            findings.add(f'--gt {gt}', what, 'allowed: GT for all that LQ has', 'restore the GT frames')
            groups.pop(name, None)


def from_options(
    options: TrainSetOptions,
    layout: str,
    degrade: Degrade | None,
    findings: Findings | None = None,
    middle: bool = False,
) -> list[ImageFiles]:
    """Return the sequences of a training set's meta file, validation clips too, so that the store serves any partition.

    Those that the set's own partition keeps for validation are left out where they do not exist. A sequence that is
    listed twice is one clip.

    Args:
        options: Options of the set.
        layout: 'reds', 'vimeo' or 'images'.
        degrade: Makes LQ, in place of the LQ root.
        findings: Gets what is left out; without it, a clip that cannot be taken is an error.
        middle: Samples show the GT of middle frames alone: other GT frames may be missing.

    Raises:
        ConfigError: a root or the list does not exist.
        DataError: the list is damaged, or an image cannot be read.
    """
    suffix = '' if layout == 'images' else '.png'
    names: FrameNames
    sequences: Iterable[FrameSequence]
    if layout == 'images':
        sequences, names = list_images(options)
    else:
        sequences, names = read_meta_file(options.meta_info_file, layout), NAMES[layout]
    gt, lq = _open_sides(options, suffix, degrade is None)
    held_out: set[FrameSequence] = set()
    if layout == 'reds' and options.val_partition:
        held_out = set(sequences) - set(reds_split(sequences, options.val_partition, validation=False))
    gather = findings or Findings()
    found = []
    middle = middle and lq is not None
    if not middle:
        check_all_gt(gt, next(iter(sequences)), names, makes_lq=lq is None)
    for sequence in dict.fromkeys(sequences):
        if sequence in held_out and gt.missing(sequence, [names.gt(sequence.name, 0)]):
            gather.skipped.append(f'clip {sequence.name}: for validation, and not in {options.dataroot_gt}')
            continue
        gt_frames = gt_there(gt, sequence, names) if middle else ()
        if not sequence.height:
            try:
                height, width = gt.shape(sequence, names.gt(sequence.name, gt_frames[0] if gt_frames else 0))
            except DataError as error:
                gather.problems += error.problems
                continue
            sequence = sequence._replace(height=height, width=width)
        found.append(ImageFiles(sequence, names, gt, lq, degrade, options.scale, gt_frames=gt_frames))
    gather.note(partly(found))
    return _checked(found, f'{BLOCK}.dataroot_gt', gather, findings is None)


def _open_sides(options: TrainSetOptions, suffix: str, with_lq: bool) -> tuple[EncodedSide, EncodedSide | None]:
    """Open the roots that options name.

    Raises:
        ConfigError: one does not exist; both are in one error.
    """
    sides: list[EncodedSide] = []
    problems: list[Problem] = []
    for key in ('dataroot_gt', 'dataroot_lq') if with_lq else ('dataroot_gt',):
        try:
            sides.append(open_side(options, key, suffix))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return sides[0], sides[1] if with_lq else None


def from_videos(
    paths: Sequence[str],
    making: Making,
    length: int,
    parts: int = 1,
    progress: Callable[[str, int], None] | None = None,
    findings: Findings | None = None,
) -> list[VideoFile]:
    """Return clips of `length` frames from the shots of videos, with names `VIDEO/0000` and so on.

    Args:
        paths: Paths of the videos.
        making: Scale and degradation.
        length: Frames of each clip.
        parts: Pieces of material that a video is divided into, one for each process. Each is decoded from the start.
        progress: Called with the path and the number of frames seen.
        findings: Gets the videos that cannot be decoded or break off; without it they are errors.

    Raises:
        ConfigError: `making` does not say how LQ is made.
        DataError: No video can be decoded, or no shot is long enough.
    """
    degrade = making.degrade
    if degrade is None:
        what = 'videos have no LQ side'
        raise ConfigError(Problem('--gt', what, 'allowed: --degradation bicubic or bd', 'say how LQ is to be made'))
    gather = findings or Findings()
    found = []
    for path in paths:
        try:
            video = inspect(path, partial(progress, path) if progress else None)
        except DataError as error:
            gather.problems += error.problems
            continue
        if broken_off(video) and not gather.allow_missing:
            what = f'breaks off: {video.frames} frames can be decoded of {video.told} in its header'
            gather.add(f'--gt {path}', what, 'allowed: a whole video', 'copy or convert it again')
            continue
        height, width = (edge - edge % making.scale for edge in (video.height, video.width))
        starts = split(video, length)
        share = max(1, -(-len(starts) // parts))
        for first in range(0, max(1, len(starts)), share):
            part = tuple(starts[first : first + share])
            found.append(VideoFile(path, PurePosixPath(path).stem, part, length, height, width, degrade, first))
    gather.raise_unless(found and findings)
    if not any(video.starts for video in found):
        what = 'no shot is as long'
        raise DataError(
            Problem(f'--clip-length {length}', what, 'allowed: a length that shots have', 'give a smaller number')
        )
    names = Counter(clip.name for video in found for clip in video.clips)
    if problem := next((_name_problem(name, count, '--gt') for name, count in names.items() if count > 1), None):
        raise DataError(problem)
    return found


def _checked(found: list[ImageFiles], option: str, findings: Findings, strict: bool) -> list[ImageFiles]:
    """Return the clips that a store can have; `strict` makes every problem of the listing an error."""
    names = Counter(part.sequence.name for part in found)
    kept = []
    for part in found:
        problem = _name_problem(part.sequence.name, names[part.sequence.name], option) or _size_problem(part, option)
        if problem:
            findings.problems.append(problem)
        else:
            kept.append(part)
    findings.raise_unless(kept and not strict)
    return kept


def _size_problem(part: ImageFiles, option: str) -> Problem | None:
    name, _, height, width = part.sequence
    if not height % part.scale and not width % part.scale:
        return None
    return Problem(
        option,
        f'{name} has GT frames of {height}x{width} pixels, not divisible by scale: {part.scale}',
        f'allowed: GT frames {part.scale} times as high and wide as the LQ frames',
        'crop its frames, or check the scale',
    )


def _name_problem(name: str, count: int, option: str) -> Problem | None:
    if count == 1 and is_name(name) and _can_be_listed(name):
        return None
    wrong = 'is the name of two clips' if count > 1 else 'cannot be the name of a clip in a store'
    return Problem(option, f'{name!r} {wrong}', 'allowed: names of folders and files', 'rename it')


def _can_be_listed(name: str) -> bool:
    """Return whether a line of a meta file can begin with a name: as text, with no space at its ends."""
    try:
        name.encode()
    except UnicodeEncodeError:  # the bytes of a file's name that are not UTF-8
        return False
    return name == name.strip(' ')
