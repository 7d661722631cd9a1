"""Where the pixels of a crop come from.

`FrameSource` is all that a dataset knows about storage, so anything with its methods can stand in for the one below,
which decodes whole frames, keeps the crop and converts only that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mg_basicsr.data.crops.crop import Flips, Flow, Pixels, Window, split_planes
from mg_basicsr.data.listing.frame_names import FrameNames
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.flow_files import FlowFiles, read_flow
from mg_basicsr.data.sources.image_files import EncodedSide, Expected, lq_size, open_side
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.train_set import TrainSetOptions


class FrameSource(Protocol):
    """Reads crops of the frames of a set. Frames count from 0; windows are in pixels of the side that is read.

    Crops are written, flipped, to `out`: uint8 planes (t, 3, size, width), RGB, contiguous. So they can go
    where they are needed, and a source that can flip while it copies does.

    All raise DataError for a frame that is missing or damaged, with its place, its clip and what to do.
    """

    def read_lq(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        """Writes LQ crops."""

    def read_gt(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        """Writes GT crops."""

    def read_flow(self, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window) -> Flow:
        """Flow from frame `center` to frame `center` + offset (zero for 0): float32 (t, size, size, 2), x before y."""

    def gt_shape(self, sequence: FrameSequence) -> tuple[int, int]:
        """Height and width in pixels of a sequence's first GT frame."""

    def problems(self, sequence: FrameSequence, flow_offsets: Sequence[int] = ()) -> list[Problem]:
        """Frames, and flows to these offsets, that do not exist; none is read."""


class EncodedFrames:
    """A FrameSource of image files, in folders or in LMDBs."""

    def __init__(
        self, lq: EncodedSide, gt: EncodedSide, flows: FlowFiles | None, names: FrameNames, scale: int
    ) -> None:
        self._lq = lq
        self._gt = gt
        self._flows = flows
        self._names = names
        self._scale = scale

    def read_lq(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        expected = lq_size(sequence, self._scale)
        for frame, planes in zip(frames, out, strict=True):
            image = self._lq.decode(sequence, self._names.lq(sequence.name, frame), expected)
            split_planes(window.cut(image), flips, planes[::-1])  # OpenCV decodes to BGR

    def read_gt(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        expected = Expected(sequence.height, sequence.width, 'the size of this clip in the meta file')
        for frame, planes in zip(frames, out, strict=True):
            image = self._gt.decode(sequence, self._names.gt(sequence.name, frame), expected)
            split_planes(window.cut(image), flips, planes[::-1])

    def read_flow(self, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window) -> Flow:
        return read_flow(self._flows, sequence, center, offsets, window)

    def gt_shape(self, sequence: FrameSequence) -> tuple[int, int]:
        return self._gt.shape(sequence, self._names.gt(sequence.name, 0))

    def problems(self, sequence: FrameSequence, flow_offsets: Sequence[int] = ()) -> list[Problem]:
        frames = range(sequence.frames)
        found = self._lq.missing(sequence, [self._names.lq(sequence.name, frame) for frame in frames])
        found += self._gt.missing(sequence, [self._names.gt(sequence.name, frame) for frame in frames])
        return found + (self._flows.problems(sequence, flow_offsets) if self._flows else [])


def open_frames(options: TrainSetOptions, names: FrameNames, suffix: str = '.png') -> EncodedFrames:
    """The folders or LMDBs that the options name; `suffix` is added to names of files.

    Raises:
        ConfigError: a root does not exist; all such roots at once.
    """
    problems: list[Problem] = []

    def side(key: str) -> EncodedSide | None:
        try:
            return open_side(options, key, suffix)
        except ConfigError as error:
            problems.extend(error.problems)
            return None

    lq, gt = side('dataroot_lq'), side('dataroot_gt')
    flow = side('dataroot_flow') if options.dataroot_flow else None
    if lq is None or gt is None or problems:
        raise ConfigError(*problems)
    flows = FlowFiles(flow, names, options.scale) if flow else None
    return EncodedFrames(lq, gt, flows, names, options.scale)
