"""Datasets in the layout of REDS: `000/00000000.png`, one key per frame, validation clips within the meta file.

Clips may have any number of frames; BasicSR's own classes assume 100.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from mg_basicsr.data.crops.crop import Pixels, flipped_flow
from mg_basicsr.data.datasets.clip_dataset import ClipDataset, Draw
from mg_basicsr.data.datasets.frame_choice import check_sliding_window, draw_stride, maybe_reversed, window_around
from mg_basicsr.data.listing.frame_names import REDS_FRAMES
from mg_basicsr.data.listing.meta_files import read_meta_file
from mg_basicsr.data.listing.sequences import FrameSequence, SequenceList, reds_split
from mg_basicsr.data.sources.frame_source import FrameSource, Needed, open_frames
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.train_set import BLOCK, TrainSetOptions


class _REDSClips(ClipDataset):
    """Keys and options of both REDS datasets.

    Args:
        options: meta_info_file, val_partition and num_frame are needed.
        source: Reads the pixels; by default the folders or LMDBs of the options.
        sequences: Clips of the set; by default those of the meta file that `val_partition` leaves.
        validation: Take the validation clips of the meta file.

    Raises:
        ConfigError: an option is missing or names something that does not exist.
        DataError: the meta file is damaged.
    """

    def __init__(
        self,
        options: TrainSetOptions,
        source: FrameSource | None,
        sequences: Iterable[FrameSequence] | None = None,
        validation: bool = False,
    ) -> None:
        if options.num_frame is None:
            raise ConfigError(
                Problem(
                    f'{BLOCK}.num_frame',
                    'missing',
                    'allowed: the number of frames of a clip',
                    f'set {BLOCK}.num_frame in the options file',
                )
            )
        self._full_frames = options.num_frame
        if sequences is None:
            sequences = reds_split(read_meta_file(options.meta_info_file, 'reds'), options.val_partition, validation)
        keys = SequenceList(sequences, key_per_frame=True)
        super().__init__(options, keys, source or open_frames(options, REDS_FRAMES))

    @property
    def full_frames(self) -> int:
        """`num_frame` of the options."""
        return self._full_frames

    def key(self, index: int) -> str:
        """Return the name of a frame, `000/00000007`; see `ClipDataset.key`."""
        sequence, frame = self.keys.locate(index)
        return REDS_FRAMES.gt(sequence.name, frame)

    def frames_needed(self, frames: int) -> int:
        """Return the length of a clip at the largest interval; see `ClipDataset.frames_needed`."""
        return (frames - 1) * max(self.options.interval_list) + 1


class REDSRecurrent(_REDSClips):
    """Clips for recurrent networks, with GT for every frame: BasicSR's REDSRecurrentDataset.

    Args:
        options: num_frame is needed; meta_info_file and val_partition unless `sequences` are given.
        source: Reads the pixels; by default the folders or LMDBs of the options.
        sequences: Clips of the set; by default those of the meta file that `val_partition` leaves.

    A key names the first frame. If too few frames follow it, the first frame is drawn anew from all that have enough.
    A stride above 1 multiplies the interval; see `draw_stride`.
    """

    def __init__(
        self,
        options: TrainSetOptions,
        source: FrameSource | None = None,
        sequences: Iterable[FrameSequence] | None = None,
    ) -> None:
        super().__init__(options, source, sequences, validation=options.test_mode)

    def _choose_frames(
        self, rng: random.Random, length: int, frame: int, frames: int, max_stride: int
    ) -> tuple[list[int], int]:
        interval = rng.choice(self.options.interval_list)
        interval *= draw_stride(rng, length, frames, interval, max_stride)
        last_start = length - 1 - (frames - 1) * interval
        start = frame if frame <= last_start else rng.randint(0, last_start)
        clip = [start + interval * position for position in range(frames)]
        return maybe_reversed(rng, clip, self.options.random_reverse), start


class REDS(_REDSClips):
    """Windows of an odd number of frames with GT, (3, H, W), for the center one: BasicSR's REDSDataset.

    Args:
        options: meta_info_file, val_partition and an odd num_frame are needed.
        source: Reads the pixels; by default the folders or LMDBs of the options.

    A key names the center frame; it is drawn anew, from all that have enough neighbours, if the window does not fit.

    With `dataroot_flow` a sample also has `flow`, float32 (t, 2, h, w) in LQ pixels: from the center frame to each
    frame, zero for itself. Flows belong to the frames of the window even if it is reversed or its interval is above 1,
    where BasicSR gives those of the forward window at interval 1.

    Windows have the same number of frames at every stage, so no stride is drawn.
    """

    def __init__(self, options: TrainSetOptions, source: FrameSource | None = None) -> None:
        super().__init__(options, source)
        check_sliding_window(self.full_frames)

    def frames_needed(self, frames: int) -> int:
        """Return the length of a window at the largest interval; see `ClipDataset.frames_needed`."""
        check_sliding_window(frames)
        return super().frames_needed(frames)

    def shapes(self, frames: int, gt_size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of `lq` and of `gt`, which is one frame; see `ClipDataset.shapes`."""
        return {**super().shapes(frames, gt_size), 'gt': (3, gt_size, gt_size)}

    def read(self, draw: Draw, into: Mapping[str, Pixels] | None = None, flip: bool = True) -> dict[str, Any]:
        """Read a sample, with `flow` if the options have it; see `ClipDataset.read`."""
        sample = super().read(draw, into, flip)
        if self.options.dataroot_flow:
            offsets = [frame - draw.center for frame in draw.lq_frames]
            flow = self.source.read_flow(draw.sequence, draw.center, offsets, draw.window)
            sample['flow'] = torch.from_numpy(flipped_flow(flow, draw.flips))
        return sample

    def _choose_frames(
        self, rng: random.Random, length: int, frame: int, frames: int, max_stride: int
    ) -> tuple[list[int], int]:
        interval = rng.choice(self.options.interval_list)
        reach = frames // 2 * interval
        center = frame if reach <= frame < length - reach else rng.randint(reach, length - 1 - reach)
        return maybe_reversed(rng, window_around(center, frames, interval), self.options.random_reverse), center

    def _gt_frames(self, frames: list[int], center: int) -> tuple[int, ...]:
        return (center,)

    def needed(self, sequence: FrameSequence) -> Needed | None:
        """Return all frames, and those for GT that have enough neighbours; see `ClipDataset.needed`."""
        if self.options.degradation:  # LQ may be made from any GT frame of a window
            return None
        reach = self.full_frames // 2 * min(self.options.interval_list)
        return Needed(range(sequence.frames), range(reach, sequence.frames - reach) or range(sequence.frames))

    def _flow_offsets(self) -> list[int]:
        half = range(1, self.full_frames // 2 + 1)
        reaches = {offset * interval for offset in half for interval in self.options.interval_list}
        return sorted({sign * reach for reach in reaches for sign in (-1, 1)})
