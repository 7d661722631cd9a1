"""Small crop store of a few clips, in a temporary folder, to time how fast a set would load from a whole one."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mg_basicsr.data.crops.crop import Flips, Pixels, Window
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sampling.sampler import request_at
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.material import ArrayClip
from mg_basicsr.data.store.format import Header
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.schedule.plan import Plan

MOST_CLIPS, MOST_BYTES = 4, 128 << 20  # of GT frames


@contextmanager
def small_store(dataset: ClipDataset, plan: Plan, stride: int) -> Iterator[ClipDataset]:
    """Copy the beginnings of a few clips into a store, and return a dataset of them; the store is removed at the end.

    Args:
        dataset: A dataset of folders or LMDBs.
        plan: The plan, for the shapes that will be asked for.
        stride: Largest stride between frames of a clip, >= 1.

    Raises:
        DataError: a frame is missing or damaged, or the disk is full.
        OSError: the temporary folder cannot be written.
    """
    frames = max(dataset.frames_needed(shape.frames) for shape in plan.shapes) * stride
    clips = [_stored(dataset, sequence) for sequence in _beginnings(dataset, plan, frames)]
    with tempfile.TemporaryDirectory(prefix='multigrid_') as folder:
        root = Path(folder, 'store')
        build(root, Header(dataset.options.scale), clips)
        few = copy.copy(dataset)
        few.keys = _Few([clip.clips[0] for clip in clips])
        few.source = StoreFrames(root)
        yield few


class _Few:
    """Key list with one key for each of a few sequences; see `KeyList`."""

    def __init__(self, sequences: Sequence[FrameSequence]) -> None:
        self.sequences = sequences

    def __len__(self) -> int:
        return len(self.sequences)

    def locate(self, index: int) -> tuple[FrameSequence, int]:
        return self.sequences[index], 0


def _beginnings(dataset: ClipDataset, plan: Plan, frames: int) -> list[FrameSequence]:
    """Return the first sequences of the run's order, cut to a number of frames."""
    full = max(plan.shapes, key=lambda shape: shape.size)
    found: dict[str, FrameSequence] = {}
    for position in range(min(MOST_CLIPS, len(dataset))):
        request = request_at(position, num_keys=len(dataset), seed=0, frames=full.frames, gt_size=full.size)
        sequence = dataset.draw(request).sequence
        found[sequence.name] = sequence._replace(frames=min(frames, sequence.frames))
        if sum(each.frames * each.height * each.width * 3 for each in found.values()) > MOST_BYTES:
            break
    return list(found.values())


def _stored(dataset: ClipDataset, sequence: FrameSequence) -> ArrayClip:
    """Return the frames of a sequence, decoded whole."""
    numbers, scale = range(sequence.frames), dataset.options.scale
    sides: list[Pixels] = []
    for read, factor in ((dataset.source.read_gt, 1), (dataset.source.read_lq, scale)):
        height, width = sequence.height // factor, sequence.width // factor
        planes = np.empty((sequence.frames, 3, height, width), np.uint8)
        read(sequence, numbers, Window(0, 0, height, width), Flips(), planes)
        sides.append(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)))
    return ArrayClip(sequence.name, *sides)
