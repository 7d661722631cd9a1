"""Where the pixels of a crop come from.

`FrameSource` is all that a dataset knows about storage, so anything with its methods can stand in for the one below,
which decodes whole frames, keeps the crop and converts only that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np

from mg_basicsr.data.crop import Flow, Pixels, Window
from mg_basicsr.data.encoded import EncodedSide, Expected
from mg_basicsr.data.files import Folder, LmdbFolder
from mg_basicsr.data.names import FrameNames, flow_name
from mg_basicsr.data.options import BLOCK, TrainSetOptions
from mg_basicsr.data.sequences import FrameSequence
from mg_basicsr.errors import ConfigError, Problem

FLOW_LIMIT = 20  # pixels: largest flow in the quantised flow files that BasicSR's REDSDataset reads
FLOW_LEVELS = 255  # their number of levels (basicsr/utils/flow_util.py)


class FrameSource(Protocol):
    """Reads crops of the frames of a set. Frames count from 0; windows are in pixels of the side that is read.

    All raise DataError for a frame that is missing or damaged, with its place, its clip and what to do.
    """

    def read_lq(self, sequence: FrameSequence, frames: Sequence[int], window: Window) -> Pixels:
        """LQ crops, uint8 (t, size, size, 3), RGB."""

    def read_gt(self, sequence: FrameSequence, frames: Sequence[int], window: Window) -> Pixels:
        """GT crops, uint8 (t, size, size, 3), RGB."""

    def read_flow(self, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window) -> Flow:
        """Flow from frame `center` to frame `center` + offset (zero for 0): float32 (t, size, size, 2), x before y."""

    def gt_shape(self, sequence: FrameSequence) -> tuple[int, int]:
        """Height and width in pixels of a sequence's first GT frame."""

    def problems(self, sequence: FrameSequence, flow_offsets: Sequence[int] = ()) -> list[Problem]:
        """Frames, and flows to these offsets, that do not exist; none is read."""


class EncodedFrames:
    """A FrameSource of image files, in folders or in LMDBs."""

    def __init__(
        self, lq: EncodedSide, gt: EncodedSide, flow: EncodedSide | None, names: FrameNames, scale: int
    ) -> None:
        self._lq = lq
        self._gt = gt
        self._flow = flow
        self._names = names
        self._scale = scale

    def read_lq(self, sequence: FrameSequence, frames: Sequence[int], window: Window) -> Pixels:
        names = [self._names.lq(sequence.name, frame) for frame in frames]
        return _read(self._lq, sequence, names, window, self._lq_size(sequence))

    def read_gt(self, sequence: FrameSequence, frames: Sequence[int], window: Window) -> Pixels:
        names = [self._names.gt(sequence.name, frame) for frame in frames]
        expected = Expected(sequence.height, sequence.width, 'the size of this clip in the meta file')
        return _read(self._gt, sequence, names, window, expected)

    def read_flow(self, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window) -> Flow:
        height, width, _ = self._lq_size(sequence)
        expected = Expected(2 * height, width, 'x above y, each of the size of the LQ frame')
        flow = np.zeros((len(offsets), window.size, window.size, 2), np.float32)
        for crop, offset in zip(flow, offsets, strict=True):
            if offset and self._flow:
                name = flow_name(self._names.gt(sequence.name, center), offset)
                both = self._flow.decode(sequence, name, expected, grey=True)
                crop[..., 0] = dequantised(window.cut(both[:height]))
                crop[..., 1] = dequantised(window.cut(both[height:]))
        return flow

    def gt_shape(self, sequence: FrameSequence) -> tuple[int, int]:
        return self._gt.shape(sequence, self._names.gt(sequence.name, 0))

    def problems(self, sequence: FrameSequence, flow_offsets: Sequence[int] = ()) -> list[Problem]:
        frames = range(sequence.frames)
        found = self._lq.missing(sequence, [self._names.lq(sequence.name, frame) for frame in frames])
        found += self._gt.missing(sequence, [self._names.gt(sequence.name, frame) for frame in frames])
        flows = [
            flow_name(self._names.gt(sequence.name, center), offset)
            for offset in flow_offsets
            for center in frames[abs(offset) : sequence.frames - abs(offset)]
            if offset
        ]
        return found + (self._flow.missing(sequence, flows) if self._flow and flows else [])

    def _lq_size(self, sequence: FrameSequence) -> Expected:
        scale = self._scale
        reason = f'since its GT is {sequence.height}x{sequence.width} and scale is {scale}'
        return Expected(sequence.height // scale, sequence.width // scale, reason)


def open_frames(options: TrainSetOptions, names: FrameNames, suffix: str = '.png') -> EncodedFrames:
    """The folders or LMDBs that the options name; `suffix` is added to names of files.

    Raises:
        ConfigError: a root does not exist; all such roots at once.
    """
    problems: list[Problem] = []

    def side(label: str, root: str, key: str) -> EncodedSide | None:
        make: Callable[[str, str], Folder | LmdbFolder]
        make = LmdbFolder if options.backend == 'lmdb' else lambda root, key: Folder(root, key, suffix)
        try:
            return EncodedSide(label, make(root, f'{BLOCK}.{key}'))
        except ConfigError as error:
            problems.extend(error.problems)
            return None

    lq = side('LQ', options.dataroot_lq, 'dataroot_lq')
    gt = side('GT', options.dataroot_gt, 'dataroot_gt')
    flow = side('Flow', options.dataroot_flow, 'dataroot_flow') if options.dataroot_flow else None
    if lq is None or gt is None or problems:
        raise ConfigError(*problems)
    return EncodedFrames(lq, gt, flow, names, options.scale)


def dequantised(levels: Pixels) -> Flow:
    """Flow in LQ pixels from levels 0..254: the middle of each level's interval between -20 and 20."""
    return ((levels + 0.5) * (2 * FLOW_LIMIT) / FLOW_LEVELS - FLOW_LIMIT).astype(np.float32)


def _read(
    side: EncodedSide, sequence: FrameSequence, names: Sequence[str], window: Window, expected: Expected
) -> Pixels:
    crops = np.empty((len(names), window.size, window.size, 3), np.uint8)
    for crop, name in zip(crops, names, strict=True):
        cv2.cvtColor(window.cut(side.decode(sequence, name, expected)), cv2.COLOR_BGR2RGB, dst=crop)
    return crops
