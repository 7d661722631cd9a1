"""Reader of crop stores: a FrameSource that reads the pixels of a crop and no others."""

from __future__ import annotations

import resource
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import cv2

from mg_basicsr.data.crops.crop import Flips, Flow, Pixels, Window
from mg_basicsr.data.kernels import compiled
from mg_basicsr.data.listing.sequences import FrameSequence, first_of
from mg_basicsr.data.sources.flow_files import FlowFiles, read_flow
from mg_basicsr.data.sources.frame_source import CropPair, Needed, Needs
from mg_basicsr.data.store.clip_file import ClipFile, ColdCache, CropRead, copy_rows, runs
from mg_basicsr.data.store.format import CONTINUE, LIST, Clip, clip_path, read_header, read_list
from mg_basicsr.data.store.layout import Side
from mg_basicsr.data.store.raw_clip import MappedClip, RawClip
from mg_basicsr.data.store.zstd_clip import ZstdClip
from mg_basicsr.errors import DataError, Problem

MOST_OPEN = 4096  # clips
SMALL = 64  # pixels: up to this size, calling a function costs more than its work

Opened = MappedClip | RawClip | ZstdClip


class StoreFrames:
    """FrameSource that reads from a store.

    Clips are mapped into memory when they are first read, and stay open. Objects can be pickled; copies open the files
    again.

    Args:
        root: Folder of the store.
        flows: Files of optical flow, which stores do not hold.

    Raises:
        DataError: the header or the list is missing or damaged.

    A crop of the second frame, then of the first:

    >>> import tempfile
    >>> import numpy as np
    >>> from mg_basicsr.data.store.building.build import build
    >>> from mg_basicsr.data.store.building.material import ArrayClip
    >>> from mg_basicsr.data.store.format import Header
    >>> gt = np.arange(2 * 64 * 96 * 3, dtype=np.uint8).reshape(2, 64, 96, 3)
    >>> clip = ArrayClip('000', gt, lq=gt[:, ::4, ::4])
    >>> with tempfile.TemporaryDirectory() as root:
    ...     _ = build(Path(root, 'store'), Header(scale=4), [clip])
    ...     crops = np.empty((2, 3, 32, 32), np.uint8)
    ...     window = Window(top=16, left=48, size=32)
    ...     StoreFrames(Path(root, 'store')).read_gt(clip.clips[0], [1, 0], window, Flips(), crops)
    >>> np.array_equal(crops, gt[[1, 0], 16:48, 48:80].transpose(0, 3, 1, 2))
    True
    """

    def __init__(self, root: str | Path, flows: FlowFiles | None = None) -> None:
        self.root = Path(root).expanduser()
        self.header = read_header(self.root)
        self._clips, self._damaged = read_list(self.root, self.header)
        self._flows = flows
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._most_open = _most_open()
        self._cold = ColdCache()

    def __getstate__(self) -> dict[str, Any]:
        # open files cannot be pickled: each process opens them itself
        return {**self.__dict__, '_open': OrderedDict()}

    @property
    def clips(self) -> Iterable[Clip]:
        """Listed clips, in the order of the list."""
        return self._clips.values()

    def read_lq(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        """Copy LQ crops from the store; see `FrameSource.read_lq`."""
        clip = self._opened(sequence)
        self._read(clip, _crops(clip.lq, frames, window, flips, out), flips, (out,))

    def read_gt(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        """Copy GT crops from the store; see `FrameSource.read_gt`."""
        clip = self._opened(sequence)
        self._read(clip, _crops(clip.gt, self._stored_gt(clip, frames), window, flips, out), flips, (out,))

    def read_pair(
        self, sequence: FrameSequence, pair: CropPair, flips: Flips, lq: Pixels, gt: Pixels, shared: bool = False
    ) -> None:
        """Copy LQ and GT crops from the store, in one call; see `FrameSource.read_pair`."""
        clip = self._opened(sequence)
        crops = _crops(clip.gt, self._stored_gt(clip, pair.gt_frames), pair.gt_window, flips, gt)
        crops += _crops(clip.lq, pair.lq_frames, pair.window, flips, lq)
        self._read(clip, crops, flips, (lq, gt), shared)

    def read_flow(self, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window) -> Flow:
        """Read flows from their own files; see `FrameSource.read_flow`."""
        return read_flow(self._flows, sequence, center, offsets, window)

    def gt_shape(self, sequence: FrameSequence, frame: int = 0) -> tuple[int, int]:
        """Return the GT height and width of a clip from the list; see `FrameSource.gt_shape`."""
        geometry = self._listed(sequence).geometry
        return geometry.height, geometry.width

    def problems(
        self, sequence: FrameSequence, needed: Needed | None = None, flow_offsets: Sequence[int] = ()
    ) -> list[Problem]:
        """Return problems of a clip that is not listed or whose file has another size; see `FrameSource.problems`."""
        try:
            clip = self._listed(sequence)
        except DataError as error:
            return list(error.problems)
        path = clip_path(self.root, clip.name)
        try:  # the size is all that can be checked without reading the file
            ClipFile(self.root, path, clip.bytes)
        except OSError as error:
            return [self._problem(clip.name, f'cannot be read: {error.strerror}')]
        except ValueError as error:
            return [self._problem(clip.name, str(error), f'{clip.bytes} bytes, as listed')]
        if problem := self._lacks_gt(clip, needed):
            return [problem]
        return self._flows.problems(sequence, flow_offsets) if self._flows else []

    def check(self, sequences: Iterable[FrameSequence], needs: Needs = lambda sequence: None) -> None:
        """Check that sequences are listed with their numbers of frames, sizes, and the GT frames needed. Opens no clip.

        Args:
            sequences: The sequences.
            needs: From a sequence to its frames that some sample shows; None for all.

        Raises:
            DataError: some are not; names the first five, and how many more.
        """
        problems: list[Problem] = []
        for sequence in sequences:
            try:
                clip = self._listed(sequence)
                if clip.geometry.gt_frames and (problem := self._lacks_gt(clip, needs(sequence))):
                    problems.append(problem)
            except DataError as error:
                problems += error.problems
        if problems:
            raise DataError(*first_of(problems, 'of this kind'))

    def _listed(self, sequence: FrameSequence) -> Clip:
        clip = self._clips.get(sequence.name)
        if clip is None:
            what = f'clip {sequence.name} is not in the store'
            damaged = ', whose list is damaged' if self._damaged else ''
            allowed = f'allowed: sequences among the {len(self._clips)} listed in {self.root / LIST}'
            raise DataError(*self._damaged[:1], Problem(f'{self.root}', what + damaged, allowed, CONTINUE))
        if sequence != clip.sequence and (sequence.height or sequence.frames != clip.geometry.frames):
            raise DataError(
                Problem(
                    f'{self.root}',
                    f'clip {sequence.name} has {_shape(clip.sequence)} in the store',
                    f'allowed: {_shape(sequence)}, as in the list of the training set',
                    'correct the meta file, or prepare the store again, in another folder',
                )
            )
        return clip

    def _lacks_gt(self, clip: Clip, needed: Needed | None) -> Problem | None:
        with_gt = clip.geometry.with_gt
        lacking = sorted(set(needed.gt if needed else range(clip.geometry.frames)).difference(with_gt))
        if not lacking:
            return None
        what = f'has the GT of {len(with_gt)} of its {clip.geometry.frames} frames'
        return Problem(
            f'store {self.root}, clip {clip.name}',
            f'{what}; that of frame {lacking[0]}, counted from 0, is needed too',
            f'needed: the GT of {"all" if needed is None else len(needed.gt)} frames of a clip',
            'prepare the store again from a set that has them, in another folder',
        )

    def _stored_gt(self, clip: Opened, frames: Sequence[int]) -> Sequence[int]:
        """Return the positions of GT frames among those that are stored.

        Raises:
            DataError: one is not stored.
        """
        held = clip.gt_frames
        if not held:
            return frames
        try:
            return [held.index(frame) for frame in frames]
        except ValueError:
            problem = self._lacks_gt(self._listed(clip.sequence), Needed((), frames))
            assert problem
            raise DataError(problem) from None

    def _opened(self, sequence: FrameSequence) -> Opened:
        opened = self._open.get(sequence.name)
        if opened is not None and opened.sequence == sequence:
            self._open.move_to_end(sequence.name)
            return opened
        clip = self._listed(sequence)
        try:
            file = ClipFile(self.root, clip_path(self.root, clip.name), clip.bytes)
            if self.header.codec == 'zstd':
                opened = ZstdClip(file, sequence, clip.geometry, self.header.block)
            elif compiled:
                opened = MappedClip(file, sequence, clip.geometry, compiled)
            else:
                opened = RawClip(file, sequence, clip.geometry)
        except OSError as error:
            self._fail(clip.name, f'cannot be read: {error.strerror}')
        except ValueError as error:
            self._fail(clip.name, str(error), f'{clip.bytes} bytes, as listed')
        self._open[clip.name] = opened
        if len(self._open) > self._most_open:
            self._open.popitem(last=False)
        return opened

    def _read(
        self, clip: Opened, crops: list[CropRead], flips: Flips, planes: tuple[Pixels, ...], shared: bool = False
    ) -> None:
        horizontal, vertical, transpose = flips
        try:
            # what is flipped afterwards has to be in the caches
            waited = clip.read(crops, bool(self._cold), shared and not (horizontal or transpose))
        except ValueError as error:
            self._fail(clip.sequence.name, str(error))
        self._cold.note(waited)
        for out in planes if horizontal or transpose else ():
            if horizontal:
                _mirror(out)
            if transpose:
                _transpose(out)
                if vertical:  # after transposing, top-bottom is left-right, which is one call for all planes
                    _mirror(out)

    def _fail(self, name: str, wrong: str, allowed: str = '') -> NoReturn:
        raise DataError(self._problem(name, wrong, allowed))

    def _problem(self, name: str, wrong: str, allowed: str = 'a file as `mg-basicsr prepare` wrote it') -> Problem:
        path = clip_path(self.root, name)
        return Problem(
            f'store {self.root}, clip {name}', f'{path} {wrong}', f'allowed: {allowed}', f'delete it and {CONTINUE}'
        )


def _crops(side: Side, frames: Sequence[int], window: Window, flips: Flips, out: Pixels) -> list[CropRead]:
    upside_down = flips.vertical and not flips.transpose
    crops = []
    for at, run in runs(tuple(frames)):
        if not (0 <= run.first < side.frames and 0 <= run.last < side.frames):
            raise IndexError(f'frames {frames} of a clip of {side.frames}')
        planes = out if run.frames == len(out) else out[at : at + run.frames]
        crops.append(CropRead(side, run, window, planes, upside_down))
    return crops


def _shape(sequence: FrameSequence) -> str:
    return f'{sequence.frames} frames of {sequence.height}x{sequence.width}'


def _most_open() -> int:
    """Return how many clips to keep open: each holds a file descriptor, and the rest of the process needs some too."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_OPEN if limit == resource.RLIM_INFINITY else max(16, min(MOST_OPEN, limit // 4))


def _mirror(planes: Pixels) -> None:
    rows = planes.reshape(-1, planes.shape[3])
    cv2.flip(rows, 1, rows)


def _transpose(planes: Pixels) -> None:
    _, channels, size, _ = planes.shape
    if size <= SMALL:  # one call for all planes gives columns of rows, which are then put into order
        columns = cv2.transpose(planes.reshape(-1, size))
        copy_rows(columns, 0, (channels * size, size, columns.shape[1]), planes, 0, size)
    else:
        for plane in planes.reshape(-1, size, size):
            cv2.transpose(plane, plane)
