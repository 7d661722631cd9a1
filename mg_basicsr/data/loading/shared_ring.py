"""Shared memory that the crops of mini-batches are written to by workers and read from by the training process.

Collating a mini-batch the usual way copies it into new shared memory, whose pages are made and mapped again for every
batch; that costs three times as much as reading the crops from a store. Here the memory is made once.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import torch

from mg_basicsr.errors import Problem, TrainingError

SHARED_MEMORY = '/dev/shm'  # where Linux keeps it; containers often have 64 MB

Shapes = Mapping[str, tuple[int, ...]]


class RingBatch(NamedTuple):
    """A mini-batch whose pixels are in the ring: its iteration, their shapes, and everything else of it."""

    iteration: int
    shapes: Shapes
    rest: dict[str, Any]


class Ring:
    """Memory for `slots` mini-batches of uint8 pixels; that of iteration i is in slot i mod slots.

    A DataLoader has at most workers x prefetch_factor batches under way, and hands out a new one only when it is asked
    for the next. So with one slot more a batch stays as it is until then.

    Args:
        slots: Batches at the same time.
        size: Bytes of the largest batch.

    Raises:
        TrainingError: there is not enough shared memory.
    """

    def __init__(self, slots: int, size: int) -> None:
        _check_space(slots * size)
        self._memory = torch.empty((slots, size), dtype=torch.uint8).share_memory_()

    def tensors(self, iteration: int, shapes: Shapes) -> dict[str, torch.Tensor]:
        """The places of an iteration's pixels, by name: contiguous, of these shapes."""
        slot = self._memory[iteration % len(self._memory)]
        sizes = [prod(shape) for shape in shapes.values()]
        parts = slot[: sum(sizes)].split(sizes)
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def batch(self, delivered: RingBatch) -> dict[str, Any]:
        """What a worker has delivered, as a mini-batch. Its pixels are valid until the next is asked for."""
        return {**self.tensors(delivered.iteration, delivered.shapes), **delivered.rest}


def _check_space(needed: int) -> None:
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return  # another kind of system
    if needed > free:
        raise TrainingError(
            Problem(
                SHARED_MEMORY,
                f'{needed / 1e6:.0f} MB needed for mini-batches, {free / 1e6:.0f} MB free',
                'needed: space for the largest mini-batch, workers x 2 + 1 times',
                'set datasets.train.num_worker_per_gpu lower, or give a container more (docker run --shm-size=8g)',
            )
        )
