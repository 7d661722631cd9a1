"""Base of all datasets: a sample is drawn first, as a pure function of the request, and read afterwards.

Drawing does not depend on storage. Folders, LMDBs and any other FrameSource therefore give the same samples.
"""

from __future__ import annotations

import operator
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, SupportsIndex

import numpy as np
import torch
from torch.utils.data import Dataset

from mg_basicsr.data.crops.crop import Flips, Pixels, Window, draw_flips, draw_window, flipped_planes
from mg_basicsr.data.crops.pixels import to_float
from mg_basicsr.data.datasets.resampled_crops import draw_span, read_span
from mg_basicsr.data.datasets.shape_check import ClipShape, misfit
from mg_basicsr.data.listing.sequences import FrameSequence, first_of
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.sources.frame_source import EncodedFrames, FrameSource, Needed
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.train_set import TrainSetOptions, gt_size_problem, unknown_degradation

UNFLIPPED = Flips()
CHECKED_SEQUENCES = 20  # by check_files: enough to find a wrong root or an unfinished download, quick on slow disks

_thread = threading.local()


class KeyList(Protocol):
    """Key list as BasicSR makes it, and the sequences that its keys belong to."""

    @property
    def sequences(self) -> Sequence[FrameSequence]:
        """All sequences, in order."""

    def __len__(self) -> int: ...

    def locate(self, index: int) -> tuple[FrameSequence, int]:
        """Return the sequence of a key and the key's frame in it, from 0.

        Raises:
            IndexError: the index is not below `len(self)`, or negative.
        """


class Draw(NamedTuple):
    """Everything random about one sample, drawn.

    Attributes:
        key: BasicSR's name of the requested key.
        sequence: The sequence that the frames are in.
        lq_frames: LQ frames to read, from 0, in the order of the clip.
        gt_frames: GT frames to read, likewise.
        center: Frame that flows start at (sliding windows; else the first frame).
        window: Place of the crop in LQ pixels.
        gt_window: The same place in GT pixels.
        gt_size: Edge of the GT crop in pixels. A larger `gt_window` is resampled to it.
        flips: Flips of the crops.
        mirrored: Whether the reversed clip follows.
    """

    key: str
    sequence: FrameSequence
    lq_frames: tuple[int, ...]
    gt_frames: tuple[int, ...]
    center: int
    window: Window
    gt_window: Window
    gt_size: int
    flips: Flips
    mirrored: bool


class ClipDataset(Dataset[dict[str, Any]], ABC):
    """Training set whose items are the samples that SampleRequests describe.

    `dataset[request]` is a dictionary with `lq`, uint8 (t, 3, h, w), `gt`, uint8 (t, 3, h * scale, w * scale), both RGB
    and contiguous, and `key`. `dataset[5]` is a sample of the options' full shape with a seed from Python's global
    generator, converted to BasicSR's float32, so the class also serves as an ordinary dataset.

    No state is kept between samples. Objects can be pickled and hold no open file.

    Args:
        options: The set's options.
        keys: Key list.
        source: Reads the pixels.
    """

    mirrored = False

    def __init__(self, options: TrainSetOptions, keys: KeyList, source: FrameSource) -> None:
        self.options = options
        self.keys = keys
        self.source = source

    def __len__(self) -> int:
        return len(self.keys)

    @property
    @abstractmethod
    def full_frames(self) -> int:
        """Frames of a full-size clip, as the network sees them."""

    @abstractmethod
    def key(self, index: int) -> str:
        """Return BasicSR's name of a key, which is the sample's `key`; 0 <= index < len(self)."""

    def clip_name(self, index: int) -> str:
        """Return the name of the sequence that a key belongs to, for messages."""
        return self.keys.locate(index)[0].name

    @abstractmethod
    def frames_needed(self, frames: int) -> int:
        """Return the length of the shortest sequence that has a clip of this many frames, as the network sees them.

        Raises:
            ConfigError: no clip can have this number of frames.
        """

    @abstractmethod
    def _choose_frames(
        self, rng: random.Random, length: int, frame: int, frames: int, max_stride: int
    ) -> tuple[list[int], int]:
        """Draw the frames of a clip, and its center, from a sequence of `length` frames, for the key at `frame`."""

    def draw(self, request: SampleRequest, rng: random.Random | None = None) -> Draw:
        """Draw everything random about a sample: a pure function of the request, the options and the key list.

        Args:
            request: The sample.
            rng: Generator in the state of the request's seed, for callers who want to see what has been drawn.

        Raises:
            ConfigError: this kind of set has no clips of that many frames or crops of that size, or spans are asked
                for and its degradation is not known.
            DataError: the sequence is too short, or its frames too small, for the request.
        """
        self._check_shape(request.frames, request.gt_size)
        if request.max_span > request.gt_size and not self.options.degradation:
            raise ConfigError(unknown_degradation(self.options.dataroot_lq))
        sequence, frame = self._locate(request.index)
        if problem := self._misfit(sequence, request.frames, request.gt_size):
            raise DataError(problem)
        scale = self.options.scale
        # Numbers are drawn in BasicSR's order (frames, place, flips). Any other order would give other samples.
        rng = rng or _generator(request.seed)
        frames, center = self._choose_frames(rng, sequence.frames, frame, request.frames, request.max_stride)
        span = draw_span(rng, (sequence.height, sequence.width), request.gt_size, request.max_span, scale)
        window = draw_window(rng, sequence.height // scale, sequence.width // scale, span // scale)
        return Draw(
            key=self.key(request.index),
            sequence=sequence,
            lq_frames=tuple(frames),
            gt_frames=self._gt_frames(frames, center),
            center=center,
            window=window,
            gt_window=window.scaled(scale),
            gt_size=request.gt_size,
            flips=draw_flips(rng, self.options.use_hflip, self.options.use_rot),
            mirrored=self.mirrored,
        )

    def shapes(self, frames: int, gt_size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a sample's pixels by name, `lq` and `gt`.

        Args:
            frames: Frames as the network sees them.
            gt_size: Edge of the GT crop in pixels, a multiple of the scale.
        """
        lq_size = gt_size // self.options.scale
        return {'lq': (frames, 3, lq_size, lq_size), 'gt': (frames, 3, gt_size, gt_size)}

    def read(self, draw: Draw, into: Mapping[str, Pixels] | None = None, flip: bool = True) -> dict[str, Any]:
        """Read a sample.

        Args:
            draw: The sample, drawn by `draw`.
            into: Contiguous uint8 arrays of `shapes`, which another process will read; new ones by default.
            flip: Flip the crops; otherwise the sample's `flips` holds the code of its flips, see `pixels.flipped`.

        Returns:
            The sample as described in the class.

        Raises:
            DataError: a frame is missing or damaged.
        """
        shared = into is not None
        if into is None:
            shapes = self.shapes(len(draw.lq_frames) * (1 + draw.mirrored), draw.gt_size)
            into = {name: np.empty(shape, np.uint8) for name, shape in shapes.items()}
        flips = draw.flips if flip else UNFLIPPED
        if draw.gt_window.size > draw.gt_size:
            self._read_span(draw, flips, into)
        else:
            lq, gt = into['lq'], into['gt']
            counts = len(draw.lq_frames), len(draw.gt_frames)
            self.source.read_pair(draw.sequence, draw, flips, _forward(lq, counts[0]), _forward(gt, counts[1]), shared)
            _mirror(lq, counts[0], draw.mirrored)
            _mirror(gt, counts[1], draw.mirrored)
        sample: dict[str, Any] = {name: torch.from_numpy(pixels) for name, pixels in into.items()}
        if not flip:
            sample['flips'] = draw.flips.code
        sample['key'] = draw.key
        return sample

    def __getitem__(self, item: SampleRequest | SupportsIndex) -> dict[str, Any]:
        """Return the sample of a request, or of a bare index; see the class."""
        if isinstance(item, SampleRequest):
            return self.read(self.draw(item))
        index = operator.index(item)
        index += len(self) if index < 0 else 0
        request = SampleRequest(index, self.full_frames, self.options.gt_size, random.getrandbits(64))
        sample = self.read(self.draw(request))
        return {
            name: to_float(value) if torch.is_tensor(value) and value.dtype == torch.uint8 else value
            for name, value in sample.items()
        }

    def check(self, frames: int, gt_size: int) -> None:
        """Check from the meta file alone that every sequence of known size can give clips of a shape.

        Args:
            frames: Frames as the network sees them.
            gt_size: Edge of the GT crop in pixels.

        Raises:
            ConfigError: the shape is impossible for this kind of set.
            DataError: sequences are too short or too small; the first five, and how many more.
        """
        self._check_shape(frames, gt_size)
        sized = (sequence for sequence in self.keys.sequences if sequence.height)
        _raise([problem for sequence in sized if (problem := self._misfit(sequence, frames, gt_size))])

    def check_files(self, limit: int = CHECKED_SEQUENCES, tolerant: bool = False) -> None:
        """Check that the frames of some sequences, evenly spread over the set, exist. Reads none of them.

        Args:
            limit: Most sequences to check, >= 1.
            tolerant: Accept missing frames unless every checked sequence lacks some, as with a wrong root.

        Raises:
            DataError: frames are missing; the first five sequences, and how many more.
        """
        total = len(self.keys.sequences)
        step = max(1, -(-total // limit))
        found = [self._file_problems(self.keys.sequences[position]) for position in range(0, total, step)]
        if not tolerant or all(found):
            _raise([problem for problems in found for problem in problems])

    def needed(self, sequence: FrameSequence) -> Needed | None:
        """Return the frames of a sequence that samples may show; None for all."""
        return None

    def check_sizes(self) -> None:
        """Check that the first sequence's frames have the sizes that they must have; a store's have.

        Raises:
            DataError: GT and LQ are exchanged, or have another scale, or their list has another size.
        """
        sequence = self.keys.sequences[0]
        if isinstance(self.source, EncodedFrames):
            _raise(self.source.size_problems(sequence, self.needed(sequence)))

    def _read_span(self, draw: Draw, flips: Flips, into: Mapping[str, Pixels]) -> None:
        """Read a span that is larger than the crop, resampled to it."""
        how = self.options.degradation
        assert how is not None  # without it no span is drawn
        frames, scale = draw.lq_frames, self.options.scale
        lq, gt = read_span(self.source, draw.sequence, frames, draw.gt_window, draw.gt_size, scale, how)
        if draw.gt_frames != frames:  # sliding windows: GT is that of the center frame
            gt = gt[[frames.index(frame) for frame in draw.gt_frames]]
        for planes, out in ((lq, into['lq']), (gt, into['gt'])):
            _forward(out, len(planes))[:] = flipped_planes(planes, flips)
            _mirror(out, len(planes), draw.mirrored)

    def _locate(self, index: int) -> tuple[FrameSequence, int]:
        sequence, frame = self.keys.locate(index)
        return self._sized(sequence), frame

    def _sized(self, sequence: FrameSequence) -> FrameSequence:
        """Return the sequence with the size of a GT frame, which is in the file's header, if none is listed."""
        if sequence.height:
            return sequence
        needed = self.needed(sequence)
        height, width = self.source.gt_shape(sequence, needed.gt[0] if needed else 0)
        return sequence._replace(height=height, width=width)

    def _gt_frames(self, frames: list[int], center: int) -> tuple[int, ...]:
        return tuple(frames)

    def _file_problems(self, sequence: FrameSequence) -> list[Problem]:
        """Return missing files, and frames too small for the full shape where no size is listed."""
        found = self.source.problems(sequence, self.needed(sequence), self._flow_offsets())
        if found or sequence.height:
            return found
        try:
            misfit = self._misfit(self._sized(sequence), self.full_frames, self.options.gt_size)
        except DataError as error:
            return list(error.problems)
        return [misfit] if misfit else []

    def _flow_offsets(self) -> list[int]:
        """Return the offsets in frames to which flows are read."""
        return []

    def _check_shape(self, frames: int, gt_size: int) -> None:
        self.frames_needed(frames)
        if gt_size < 1 or gt_size % self.options.scale:
            raise ConfigError(gt_size_problem(gt_size, self.options.scale))

    def _misfit(self, sequence: FrameSequence, frames: int, gt_size: int) -> Problem | None:
        shape = ClipShape(frames, self.frames_needed(frames), gt_size)
        return misfit(sequence, shape, self.options.scale, self.options.meta_info_file or self.options.dataroot_gt)


def _generator(seed: int) -> random.Random:
    """Return the thread's generator, seeded: making one costs more than drawing all numbers of a sample."""
    generator: random.Random | None = getattr(_thread, 'generator', None)
    if generator is None:
        generator = _thread.generator = random.Random()
    generator.seed(seed)
    return generator


def _forward(out: Pixels, count: int) -> Pixels:
    """Return the first `count` frames of a sample's array, (count, 3, s, s); an image is a clip of one frame."""
    return out if out.ndim == 4 and len(out) == count else out.reshape(-1, *out.shape[-3:])[:count]


def _mirror(out: Pixels, count: int, mirrored: bool) -> None:
    if mirrored:
        out[count:] = out[:count][::-1]


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise DataError(*first_of(problems, 'of this kind'))
