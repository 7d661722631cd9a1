"""GT and LQ frames of a clip by the names of their files, and sets whose GT has fewer frames than LQ.

Sliding windows around the middle frame of a sequence show the GT of no other, and BasicSR's LMDBs of Vimeo-90K have no
other: a store takes such clips, with the GT that there is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mg_basicsr.data.listing.frame_names import FrameNames
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.image_files import EncodedSide
from mg_basicsr.data.store.building.material import ImageFiles
from mg_basicsr.errors import DataError, Problem
from mg_basicsr.train_set import BLOCK

Groups = Mapping[str, Sequence[str]]  # names of images by clip


@dataclass(frozen=True)
class ListedFrames:
    """Frames by the names of their files, as a `FrameNames`.

    Attributes:
        gt_names: Names of the GT frames, in order; empty for a frame without GT.
        lq_names: Names of the LQ frames, in order.
    """

    gt_names: tuple[str, ...]
    lq_names: tuple[str, ...]

    def lq(self, sequence: str, frame: int) -> str:
        """See `FrameNames.lq`."""
        return self.lq_names[frame]

    def gt(self, sequence: str, frame: int) -> str:
        """See `FrameNames.gt`."""
        return self.gt_names[frame]


def lq_names(frames: Sequence[str], lq_groups: Groups, images: bool, scale: int) -> tuple[str, ...]:
    """Return the name of the LQ frame of each GT frame; that of the GT frame itself where there is none.

    Args:
        frames: Names of the GT frames of a clip, or of all images.
        lq_groups: Names of the LQ frames.
        images: Every image is a clip.
        scale: GT pixels per LQ pixel and axis.
    """
    folder = os.path.dirname(frames[0])
    there = list(lq_groups) if images else lq_groups.get(folder, [])
    exact, stems = set(there), {os.path.splitext(name)[0]: name for name in there}

    def of(name: str) -> str:
        stem = os.path.splitext(name)[0]
        return name if name in exact else stems.get(stem) or stems.get(f'{stem}x{scale}') or name

    return tuple(map(of, frames))


def middle_gt_only(groups: Groups, lq_groups: Groups, scale: int) -> bool:
    """Return whether every clip has one GT frame, and that is the middle one of its LQ frames.

    Args:
        groups: Names of the GT frames by clip.
        lq_groups: Names of the LQ frames by clip.
        scale: GT pixels per LQ pixel and axis.
    """

    def is_middle(name: str, frames: Sequence[str]) -> bool:
        lq = lq_groups.get(name, ())
        odd = len(lq) > 1 and len(lq) % 2 == 1
        return odd and len(frames) == 1 and lq_names(frames, lq_groups, False, scale) == (lq[len(lq) // 2],)

    return all(is_middle(name, frames) for name, frames in groups.items())


def with_middle_gt(gt_name: str, lq: Sequence[str]) -> tuple[ListedFrames, tuple[int, ...]]:
    """Return the frames of a clip that has the GT of its middle frame, and the number of this one.

    Args:
        gt_name: Name of the GT frame.
        lq: Names of the LQ frames, an odd number.
    """
    middle = len(lq) // 2
    return ListedFrames((*[''] * middle, gt_name, *[''] * middle), tuple(lq)), (middle,)


def gt_there(gt: EncodedSide, sequence: FrameSequence, names: FrameNames) -> tuple[int, ...]:
    """Return the frames of a sequence whose GT exists, if some do not and the middle one does; else ().

    Args:
        gt: GT frames.
        sequence: The sequence.
        names: Names of its frames.
    """
    of_frames = [names.gt(sequence.name, frame) for frame in range(sequence.frames)]
    try:
        absent = set(gt.absent(of_frames))
    except OSError:  # reading the frames reports it
        return ()
    if not absent or of_frames[middle_of(sequence)] in absent:
        return ()
    return tuple(frame for frame, name in enumerate(of_frames) if name not in absent)


def middle_of(sequence: FrameSequence) -> int:
    """Return the middle frame of a sequence, which sliding windows of Vimeo-90K show."""
    return (sequence.frames - 1) // 2


def check_all_gt(gt: EncodedSide, sequence: FrameSequence, names: FrameNames, makes_lq: bool) -> None:
    """Check that a set has the GT of other frames than the middle ones, where every frame's is needed.

    Args:
        gt: GT frames.
        sequence: First sequence of the set.
        names: Names of its frames.
        makes_lq: LQ is made from GT.

    Raises:
        DataError: the sequence has the GT of its middle frame, and of no other.
    """
    if sequence.frames == 1 or gt_there(gt, sequence, names) != (middle_of(sequence),):
        return
    what = f'{sequence.name} has only the GT of the middle frame, as BasicSR makes LMDBs of Vimeo-90K'
    needed, remedy = 'clips with GT for every frame', f'use a set that has it, or {BLOCK}.type: Vimeo90KDataset'
    if makes_lq:
        needed, remedy = 'the GT of every frame, since LQ is made from it', 'leave out --degradation and give LQ frames'
    raise DataError(Problem(f'{BLOCK}.dataroot_gt', what, f'needed: {needed}', remedy))


def partly(found: Sequence[ImageFiles]) -> str:
    """Return a line about clips that have the GT of some frames alone; empty if there are none.

    Args:
        found: Clips of a set.
    """
    some = [part for part in found if part.gt_frames]
    if not some:
        return ''
    name, frames = some[0].sequence[:2]
    of = f'{len(some):,} of {len(found):,} clips have the GT of some frames alone, such as {name}'
    return f'{of} ({len(some[0].gt_frames)} of {frames}): enough for sliding windows around the middle frame.'
