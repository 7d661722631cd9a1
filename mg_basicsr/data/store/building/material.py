"""What clips are made from: image files, or a video. Objects travel to the processes that build."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import cv2

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.crops.degradation import Degrade
from mg_basicsr.data.listing.frame_names import FrameNames
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.image_files import EncodedSide, Expected, lq_size
from mg_basicsr.data.store.building.video import read_video
from mg_basicsr.data.store.building.writer import Pair
from mg_basicsr.errors import DataError, Problem


class Material(Protocol):
    """One or more clips that are read together."""

    @property
    def clips(self) -> tuple[FrameSequence, ...]:
        """The clips, with the GT size that they have in the store."""

    def open(self, wanted: Collection[str]) -> Iterator[tuple[FrameSequence, Iterator[Pair]]]:
        """The wanted clips, each with its frames, to be used up before the next clip.

        Raises:
            DataError: a frame is missing or damaged.
        """


@dataclass(frozen=True)
class ImageFiles:
    """A clip, or an image, in folders or LMDBs.

    Attributes:
        sequence: The clip.
        names: What its frames are called.
        gt, lq: The two sides; without LQ, it is made by `degrade`.
        scale: GT pixels per LQ pixel and axis.
        cut: Pixels to leave out at the bottom and at the right of GT, so that LQ pixels are whole.
    """

    sequence: FrameSequence
    names: FrameNames
    gt: EncodedSide
    lq: EncodedSide | None
    degrade: Degrade | None
    scale: int
    cut: tuple[int, int] = (0, 0)

    @property
    def clips(self) -> tuple[FrameSequence, ...]:
        return (self.sequence,)

    def open(self, wanted: Collection[str]) -> Iterator[tuple[FrameSequence, Iterator[Pair]]]:
        if self.sequence.name in wanted:
            yield self.sequence, self._frames()

    def _frames(self) -> Iterator[Pair]:
        name, frames, height, width = self.sequence
        expected = Expected(height + self.cut[0], width + self.cut[1], 'as listed, or as its first frame')
        lq_expected = lq_size(self.sequence, self.scale)
        for number in range(frames):
            gt = _rgb(self.gt.decode(self.sequence, self.names.gt(name, number), expected)[:height, :width])
            if self.lq:
                lq = _rgb(self.lq.decode(self.sequence, self.names.lq(name, number), lq_expected))
            else:
                lq = degraded(gt, self.degrade)
            yield Pair(gt, lq)


@dataclass(frozen=True)
class VideoFile:
    """Clips of one video, decoded from its start.

    Attributes:
        path: The file.
        stem: First part of the clips' names.
        starts: First frame of each clip.
        frames: Frames of each clip.
        height, width: Of a clip's GT frames: the video's, less what is not a whole LQ pixel.
        degrade: Makes LQ.
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

    @property
    def clips(self) -> tuple[FrameSequence, ...]:
        numbers = range(self.first, self.first + len(self.starts))
        return tuple(FrameSequence(f'{self.stem}/{n:04d}', self.frames, self.height, self.width) for n in numbers)

    def open(self, wanted: Collection[str]) -> Iterator[tuple[FrameSequence, Iterator[Pair]]]:
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
                    Problem('--gt', what, 'allowed: the video as it was a moment ago', 'run the command again')
                )
            gt = _rgb(frame[: self.height, : self.width])
            yield Pair(gt, degraded(gt, self.degrade))


def degraded(gt: Pixels, degrade: Degrade | None) -> Pixels:
    """The LQ frame of a GT frame."""
    if degrade is None:
        raise ValueError('neither an LQ side nor a degradation')
    return degrade(gt)


def _rgb(image: Pixels) -> Pixels:
    return cast(Pixels, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
