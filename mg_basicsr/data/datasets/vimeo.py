"""Datasets in the layout of Vimeo-90K: `00001/0001/im1.png`, one key per sequence.

Sequences may have any number of frames, which is read from the meta file; septuplets have seven.
"""

from __future__ import annotations

import random

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.frame_choice import check_sliding_window, draw_stride, maybe_reversed, window_around
from mg_basicsr.data.listing.frame_names import VIMEO_FRAMES
from mg_basicsr.data.listing.meta_files import read_meta_file
from mg_basicsr.data.listing.sequences import FrameSequence, SequenceList
from mg_basicsr.data.sources.frame_source import FrameSource, Needed, open_frames
from mg_basicsr.dataset_types import SEPTUPLET
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.train_set import BLOCK, TrainSetOptions


class _VimeoClips(ClipDataset):
    """Keys and options of both Vimeo-90K datasets.

    Args:
        options: meta_info_file is needed; num_frame counts frames before mirroring. BasicSR has no val_partition and no
            interval_list here.
        source: Reads the pixels; by default the folders or LMDBs of the options.

    Raises:
        ConfigError: an option is missing or names something that does not exist.
        DataError: the meta file is damaged.
    """

    def __init__(self, options: TrainSetOptions, source: FrameSource | None = None) -> None:
        keys = SequenceList(read_meta_file(options.meta_info_file, 'vimeo'), key_per_frame=False)
        super().__init__(options, keys, source or open_frames(options, VIMEO_FRAMES))

    def key(self, index: int) -> str:
        """Return the name of a sequence, `00001/0001`; see `ClipDataset.key`."""
        return self.keys.locate(index)[0].name


class Vimeo90KRecurrent(_VimeoClips):
    """Clips for recurrent networks, with GT for every frame: BasicSR's Vimeo90KRecurrentDataset.

    Args:
        options: meta_info_file is needed; num_frame counts frames before mirroring.
        source: Reads the pixels; by default the folders or LMDBs of the options.

    With `flip_sequence` the reversed clip follows the clip, and the frames of a request count both: 14 for a whole
    septuplet. A clip shorter than the sequence starts anywhere; its frames are consecutive, or a random stride apart
    (see `draw_stride`).
    """

    def __init__(self, options: TrainSetOptions, source: FrameSource | None = None) -> None:
        super().__init__(options, source)
        self.mirrored = options.flip_sequence

    @property
    def full_frames(self) -> int:
        """`num_frame` of the options, or 7; twice as many in mirrored clips."""
        return (self.options.num_frame or SEPTUPLET) * (2 if self.mirrored else 1)

    def frames_needed(self, frames: int) -> int:
        """Return the frames before mirroring; see `ClipDataset.frames_needed`.

        Raises:
            ConfigError: clips are mirrored and the number of frames is odd.
        """
        if not self.mirrored:
            return frames
        if frames % 2:
            raise ConfigError(
                Problem(
                    'multigrid.temporal',
                    f'a mirrored clip cannot have {frames} frames',
                    f'allowed: an even number in multigrid.temporal, as {BLOCK}.flip_sequence is true',
                    f'use {frames + 1}',
                )
            )
        return frames // 2

    def _choose_frames(
        self, rng: random.Random, length: int, frame: int, frames: int, max_stride: int
    ) -> tuple[list[int], int]:
        count = self.frames_needed(frames)
        stride = draw_stride(rng, length, count, 1, max_stride)
        reach = (count - 1) * stride
        # whole septuplets draw no number here, as in BasicSR
        start = rng.randint(0, length - 1 - reach) if count < length else 0
        clip = list(range(start, start + reach + 1, stride))
        return maybe_reversed(rng, clip, self.options.random_reverse), start


class Vimeo90K(_VimeoClips):
    """Windows of an odd number of frames around the middle one, with GT, (3, H, W), for it: BasicSR's Vimeo90KDataset.

    Args:
        options: meta_info_file is needed; num_frame is odd.
        source: Reads the pixels; by default the folders or LMDBs of the options.

    The middle of a septuplet is im4; sets may lack the GT of all others, as the LMDBs of BasicSR's script do. Windows
    have the same number of frames at every stage, so no stride is drawn.
    """

    def __init__(self, options: TrainSetOptions, source: FrameSource | None = None) -> None:
        super().__init__(options, source)
        check_sliding_window(self.full_frames)

    @property
    def full_frames(self) -> int:
        """`num_frame` of the options, or 7."""
        return self.options.num_frame or SEPTUPLET

    def frames_needed(self, frames: int) -> int:
        """Return the frames of the window; see `ClipDataset.frames_needed`."""
        check_sliding_window(frames)
        return frames

    def shapes(self, frames: int, gt_size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of `lq` and of `gt`, which is one frame; see `ClipDataset.shapes`."""
        return {**super().shapes(frames, gt_size), 'gt': (3, gt_size, gt_size)}

    def _choose_frames(
        self, rng: random.Random, length: int, frame: int, frames: int, max_stride: int
    ) -> tuple[list[int], int]:
        center = _center(length)
        return maybe_reversed(rng, window_around(center, frames), self.options.random_reverse), center

    def _gt_frames(self, frames: list[int], center: int) -> tuple[int, ...]:
        return (center,)

    def needed(self, sequence: FrameSequence) -> Needed | None:
        """Return the largest window, and its middle for GT; see `ClipDataset.needed`."""
        if self.options.degradation:  # LQ may be made from any GT frame of a window
            return None
        center = _center(sequence.frames)
        window = window_around(center, self.full_frames)
        return Needed([frame for frame in window if 0 <= frame < sequence.frames], [center])


def _center(length: int) -> int:
    """Return the frame, from 0, that has GT: the middle one of the sequence; im4 of a septuplet."""
    return (length - 1) // 2
