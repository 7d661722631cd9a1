"""Sources of pixels: the protocol that datasets read crops through, and the source for image files.

`FrameSource` is all that a dataset knows about storage. `EncodedFrames` decodes whole frames, keeps the crop and
converts only that; a store's `StoreFrames` reads the crop alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from mg_basicsr.data.crops.crop import Flips, Flow, Pixels, Window, split_planes
from mg_basicsr.data.listing.frame_names import FrameNames
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.flow_files import FlowFiles, read_flow
from mg_basicsr.data.sources.image_files import EncodedSide, Expected, lq_size, open_side
from mg_basicsr.data.sources.sizes import Sizes, misfit
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.train_set import TrainSetOptions


class Needed(NamedTuple):
    """Frames of a sequence, from 0, that some sample may show; the others need not exist.

    Attributes:
        lq: LQ frames.
        gt: GT frames, at least one.
    """

    lq: Sequence[int]
    gt: Sequence[int]


Needs = Callable[[FrameSequence], Needed | None]  # None for all frames


class CropPair(Protocol):
    """Frames and places of the LQ and GT crops of a sample; see `clip_dataset.Draw`."""

    @property
    def lq_frames(self) -> Sequence[int]:
        """LQ frames, from 0."""

    @property
    def gt_frames(self) -> Sequence[int]:
        """GT frames, from 0."""

    @property
    def window(self) -> Window:
        """Place of the crop in LQ pixels."""

    @property
    def gt_window(self) -> Window:
        """Place of the crop in GT pixels."""


class FrameSource(Protocol):
    """Reader of crops of the frames of a set. Frames count from 0; windows are in pixels of the side that is read.

    Crops are written to the caller's memory, which may be shared with another process, and flipped on the way, since
    some sources can flip while they copy.

    All methods raise DataError for a frame that is missing or damaged, with its place, its clip and what to do.
    """

    def read_lq(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        """Write LQ crops to `out`.

        Args:
            sequence: The sequence.
            frames: Frames to read, t of them, from 0.
            window: The crop in LQ pixels.
            flips: Flips to apply; the window is square if there are any.
            out: uint8 planes (t, 3, size, width), RGB, contiguous; overwritten.
        """

    def read_gt(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        """Write GT crops to `out`.

        Args:
            sequence: The sequence.
            frames: Frames to read, t of them, from 0.
            window: The crop in GT pixels.
            flips: Flips to apply; the window is square if there are any.
            out: uint8 planes (t, 3, size, width), RGB, contiguous; overwritten.
        """

    def read_pair(
        self, sequence: FrameSequence, pair: CropPair, flips: Flips, lq: Pixels, gt: Pixels, shared: bool = False
    ) -> None:
        """Write the LQ and the GT crops of a sample: as `read_lq` and `read_gt`, which some sources do faster at once.

        Args:
            sequence: The sequence.
            pair: Frames and places of the crops.
            flips: Flips to apply.
            lq: uint8 planes for LQ; overwritten.
            gt: uint8 planes for GT; overwritten.
            shared: The planes will be read by another process.
        """

    def read_flow(self, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window) -> Flow:
        """Read the flows from frame `center` to frames `center` + offset.

        Args:
            sequence: The sequence.
            center: Frame that the flows start at, from 0.
            offsets: Frames to the other frames, t of them; the flow to offset 0 is zero.
            window: The crop in LQ pixels.

        Returns:
            float32 (t, size, size, 2), x before y, in LQ pixels.
        """

    def gt_shape(self, sequence: FrameSequence, frame: int = 0) -> tuple[int, int]:
        """Return height and width of a GT frame in pixels.

        Args:
            sequence: The sequence.
            frame: The frame, from 0.
        """

    def problems(
        self, sequence: FrameSequence, needed: Needed | None = None, flow_offsets: Sequence[int] = ()
    ) -> list[Problem]:
        """Return a problem per side whose files are incomplete; none is read.

        Args:
            sequence: The sequence.
            needed: Frames that are needed; all by default.
            flow_offsets: Offsets in frames to which flows are needed.
        """


class EncodedFrames:
    """FrameSource of image files, in folders or in LMDBs.

    Args:
        lq: LQ frames.
        gt: GT frames.
        flows: Optical flow, if there is any.
        names: Names of the frames.
        scale: GT pixels per LQ pixel and axis.
    """

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
        """Decode frames and write LQ crops; see `FrameSource.read_lq`."""
        expected = lq_size(sequence, self._scale)
        for frame, planes in zip(frames, out, strict=True):
            image = self._lq.decode(sequence, self._names.lq(sequence.name, frame), expected)
            split_planes(window.cut(image), flips, planes[::-1])  # OpenCV decodes to BGR

    def read_gt(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        """Decode frames and write GT crops; see `FrameSource.read_gt`."""
        expected = Expected(sequence.height, sequence.width, 'the size of this clip in the meta file')
        for frame, planes in zip(frames, out, strict=True):
            image = self._gt.decode(sequence, self._names.gt(sequence.name, frame), expected)
            split_planes(window.cut(image), flips, planes[::-1])

    def read_pair(
        self, sequence: FrameSequence, pair: CropPair, flips: Flips, lq: Pixels, gt: Pixels, shared: bool = False
    ) -> None:
        """Decode frames and write LQ and GT crops; see `FrameSource.read_pair`."""
        self.read_lq(sequence, pair.lq_frames, pair.window, flips, lq)
        self.read_gt(sequence, pair.gt_frames, pair.gt_window, flips, gt)

    def read_flow(self, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window) -> Flow:
        """Read flows; see `FrameSource.read_flow`."""
        return read_flow(self._flows, sequence, center, offsets, window)

    def gt_shape(self, sequence: FrameSequence, frame: int = 0) -> tuple[int, int]:
        """Return height and width of a GT frame in pixels; see `FrameSource.gt_shape`."""
        return self._gt.shape(sequence, self._names.gt(sequence.name, frame))

    def problems(
        self, sequence: FrameSequence, needed: Needed | None = None, flow_offsets: Sequence[int] = ()
    ) -> list[Problem]:
        """Return problems of missing files; see `FrameSource.problems`."""
        lq, gt = needed or Needed(*[range(sequence.frames)] * 2)
        found = self._lq.missing(sequence, [self._names.lq(sequence.name, frame) for frame in lq])
        found += self._gt.missing(sequence, [self._names.gt(sequence.name, frame) for frame in gt])
        return found + (self._flows.problems(sequence, flow_offsets) if self._flows else [])

    def size_problems(self, sequence: FrameSequence, needed: Needed | None = None) -> list[Problem]:
        """Return a problem if the sizes of an LQ and a GT frame do not fit each other, or not the list; see `misfit`.

        Args:
            sequence: The sequence, its frames complete.
            needed: Frames that are needed; all by default.

        Raises:
            DataError: one of the two cannot be read.
        """
        lq, gt = needed or Needed(*[range(sequence.frames)] * 2)
        sizes = Sizes(
            self._gt.shape(sequence, self._names.gt(sequence.name, gt[0])),
            self._lq.shape(sequence, self._names.lq(sequence.name, lq[0])),
            (sequence.height, sequence.width) if sequence.height else None,
        )
        found = misfit(sizes, self._scale, sequence.name)
        return [found] if found else []


def open_frames(options: TrainSetOptions, names: FrameNames, suffix: str = '.png') -> EncodedFrames:
    """Open the folders or LMDBs of a training set.

    Args:
        options: The set's options.
        names: Names of its frames.
        suffix: Added to the names of files in folders.

    Raises:
        ConfigError: roots do not exist; all of them are named.
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
