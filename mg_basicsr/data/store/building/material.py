"""Sources of clips for a store: image files, arrays and videos. Objects are pickled for the processes that build."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import cv2

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.crops.degradation import Degrade
from mg_basicsr.data.listing.frame_names import FrameNames
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.byte_files import Folder
from mg_basicsr.data.sources.image_files import EncodedSide, Expected, lq_size
from mg_basicsr.data.sources.origin import origin_of
from mg_basicsr.data.store.building.video import read_video
from mg_basicsr.data.store.building.writer import Pair
from mg_basicsr.data.store.origins import Sides
from mg_basicsr.errors import DataError, Problem


class Material(Protocol):
    """Source of one or more clips that are read together."""

    @property
    def clips(self) -> tuple[FrameSequence, ...]:
        """Clips, with the GT size that they get in the store."""

    @property
    def gt_frames(self) -> tuple[int, ...]:
        """Frames of its clips that have GT, from 0 and ascending; () if all have."""

    def origin(self, name: str) -> Sides:
        """Return what a clip is made from, by side: `gt` and `lq`, or `video`; nothing for arrays.

        Raises:
            OSError: a file does not exist or cannot be read.
        """

    def open(self, wanted: Collection[str]) -> Iterator[tuple[FrameSequence, Iterator[Pair]]]:
        """Yield the wanted clips with their frames; the frames are used up before the next clip is asked for.

        Raises:
            DataError: a frame is missing or damaged.
        """


@dataclass(frozen=True)
class ImageFiles:
    """Clip, or image, in folders or LMDBs.

    Attributes:
        sequence: The clip.
        names: Names of its frames.
        gt: GT frames.
        lq: LQ frames; None to make them by `degrade`.
        degrade: Makes an LQ frame from a GT frame; unused where `lq` is set.
        scale: GT pixels per LQ pixel and axis.
        cut: Pixels to cut off at the bottom and at the right of GT, so that its size is a multiple of the scale.
        gt_frames: Frames that have GT, from 0 and ascending; () if all have.
    """

    sequence: FrameSequence
    names: FrameNames
    gt: EncodedSide
    lq: EncodedSide | None
    degrade: Degrade | None
    scale: int
    cut: tuple[int, int] = (0, 0)
    gt_frames: tuple[int, ...] = ()

    @property
    def clips(self) -> tuple[FrameSequence, ...]:
        """Tuple of the one clip; see `Material.clips`."""
        return (self.sequence,)

    def origin(self, name: str) -> Sides:
        """Return the origins of GT and LQ; see `Material.origin`."""
        frames = range(self.sequence.frames)
        sides = {'gt': self.gt.origin([self.names.gt(name, frame) for frame in self.gt_frames or frames])}
        if self.lq:
            sides['lq'] = self.lq.origin([self.names.lq(name, frame) for frame in frames])
        return sides

    def open(self, wanted: Collection[str]) -> Iterator[tuple[FrameSequence, Iterator[Pair]]]:
        """Yield the clip with its decoded frames, if wanted; see `Material.open`."""
        if self.sequence.name in wanted:
            yield self.sequence, self._frames()

    def _frames(self) -> Iterator[Pair]:
        name, frames, height, width = self.sequence
        expected = Expected(height + self.cut[0], width + self.cut[1], 'as listed, or as its first frame')
        lq_expected = lq_size(self.sequence, self.scale)
        for number in range(frames):
            gt = None
            if number in (self.gt_frames or range(frames)):
                gt = _rgb(self.gt.decode(self.sequence, self.names.gt(name, number), expected)[:height, :width])
            if self.lq:
                lq = _rgb(self.lq.decode(self.sequence, self.names.lq(name, number), lq_expected))
            else:
                lq = degraded(gt, self.degrade)
            yield Pair(gt, lq)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class ArrayClip:
    """Clip in memory, for stores that are made in Python.

    Attributes:
        name: Name of the clip.
        gt: uint8 (t, H, W, 3), RGB.
        lq: uint8 (t, H / scale, W / scale, 3), RGB.
    """

    name: str
    gt: Pixels
    lq: Pixels
    gt_frames: ClassVar[tuple[int, ...]] = ()

    @property
    def clips(self) -> tuple[FrameSequence, ...]:
        """Tuple of the one clip; see `Material.clips`."""
        frames, height, width, _ = self.gt.shape
        return (FrameSequence(self.name, frames, height, width),)

    def origin(self, name: str) -> Sides:
        """Return nothing: arrays have no files; see `Material.origin`."""
        return {}

    def open(self, wanted: Collection[str]) -> Iterator[tuple[FrameSequence, Iterator[Pair]]]:
        """Yield the clip with its frames, if wanted; see `Material.open`."""
        if self.name in wanted:
            yield self.clips[0], (Pair(gt, lq) for gt, lq in zip(self.gt, self.lq, strict=True))


@dataclass(frozen=True)
class VideoFile:
    """Clips of one video, decoded from its start.

    Attributes:
        path: The file.
        stem: First part of the clips' names.
        starts: First frame of each clip in the video, from 0, ascending.
        frames: Frames of each clip.
        height: Height of GT frames in pixels: the video's, rounded down to a multiple of the scale.
        width: Width of GT frames in pixels, likewise.
        degrade: Makes an LQ frame from a GT frame.
        first: Number of the first clip.
    """

    path: str
    stem: str
    starts: tuple[int, ...]
    frames: int
    height: int
    width: int
    degrade: Degrade
    first: int = 0
    gt_frames: ClassVar[tuple[int, ...]] = ()

    @property
    def clips(self) -> tuple[FrameSequence, ...]:
        """Clips named `stem/0000` and so on; see `Material.clips`."""
        numbers = range(self.first, self.first + len(self.starts))
        return tuple(FrameSequence(f'{self.stem}/{n:04d}', self.frames, self.height, self.width) for n in numbers)

    def origin(self, name: str) -> Sides:
        """Return the origin of the video; see `Material.origin`."""
        folder, file = os.path.split(self.path)
        return {'video': origin_of(Folder(folder or '.', '--gt'), [file])}

    def open(self, wanted: Collection[str]) -> Iterator[tuple[FrameSequence, Iterator[Pair]]]:
        """Decode the video and yield the wanted clips; see `Material.open`."""
        chosen = [(clip, start) for clip, start in zip(self.clips, self.starts, strict=True) if clip.name in wanted]
        position = chosen[0][1] if chosen else 0
        video = read_video(self.path, position)
        for clip, start in chosen:
            for _ in range(start - position):
                next(video, None)
            yield clip, self._frames(video)
            position = start + self.frames

    def _frames(self, video: Iterator[Pixels]) -> Iterator[Pair]:
        for _ in range(self.frames):
            frame = next(video, None)
            if frame is None:
                what = f'video {self.path} has become shorter'
                raise DataError(
                    Problem(
                        '--gt', what, 'allowed: a video that does not change while it is read', 'run the command again'
                    )
                )
            gt = _rgb(frame[: self.height, : self.width])
            yield Pair(gt, degraded(gt, self.degrade))


def degraded(gt: Pixels | None, degrade: Degrade | None) -> Pixels:
    """Return the LQ frame of a GT frame.

    Args:
        gt: uint8 (H, W, 3).
        degrade: The degradation.

    Raises:
        ValueError: there is no degradation, or no GT frame.
    """
    if degrade is None or gt is None:
        raise ValueError('neither an LQ side nor a degradation, or no GT')
    return degrade(gt)


def _rgb(image: Pixels) -> Pixels:
    return cast(Pixels, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
