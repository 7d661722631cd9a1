"""Ring of shared memory, to which workers write the crops of mini-batches and from which training reads them.

Collating a mini-batch the usual way copies it into new shared memory, whose pages are made and mapped again for every
batch; that costs three times as much as reading the crops from a store. Here the memory is made once.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch

from mg_basicsr.errors import Problem, TrainingError

SHARED_MEMORY = '/dev/shm'  # where Linux keeps it; containers often have 64 MB

Shapes = Mapping[str, tuple[int, ...]]


class RingBatch(NamedTuple):
    """Mini-batch whose pixels are in the ring.

    Attributes:
        iteration: 0-based; chooses the slot.
        shapes: Shapes of the pixels by name.
        rest: Everything of the mini-batch but its pixels, tensors as arrays.
    """

    iteration: int
    shapes: Shapes
    rest: dict[str, Any]


class Ring:
    """Shared memory for `slots` mini-batches of uint8 pixels; iteration i uses slot i mod slots.

    A DataLoader has at most workers x prefetch_factor batches under way, and hands out a new one only when it is asked
    for the next. So with one slot more a batch is not overwritten before then.

    Args:
        slots: Mini-batches held at the same time.
        size: Bytes of the largest mini-batch.

    Raises:
        TrainingError: there is not enough shared memory.
    """

    def __init__(self, slots: int, size: int) -> None:
        _check_space(slots * size)
        self._memory = torch.empty((slots, size), dtype=torch.uint8).share_memory_()

    def tensors(self, iteration: int, shapes: Shapes) -> dict[str, torch.Tensor]:
        """Return contiguous uint8 views of the slot of an iteration, by name.

        Args:
            iteration: 0-based.
            shapes: Shapes of the views by name; together at most `size` bytes.
        """
        slot = self._memory[iteration % len(self._memory)]
        sizes = [prod(shape) for shape in shapes.values()]
        parts = slot[: sum(sizes)].split(sizes)
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def batch(self, delivered: RingBatch) -> dict[str, Any]:
        """Return a delivered mini-batch with its pixels. They are valid until the next mini-batch is asked for."""
        rest = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in delivered.rest.items()
        }
        return {**self.tensors(delivered.iteration, delivered.shapes), **rest}


def as_arrays(rest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of a mini-batch as arrays, which a queue sends within its message.

    For each tensor it would make new shared memory, and send that through a socket, by another thread: more work for
    both processes than reading a small mini-batch.
    """
    return {name: value.numpy() if torch.is_tensor(value) else value for name, value in rest.items()}


def _check_space(needed: int) -> None:
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return  # a system that keeps shared memory elsewhere
    if needed > free:
        raise TrainingError(
            Problem(
                SHARED_MEMORY,
                f'{needed / 1e6:.0f} MB needed for mini-batches, {free / 1e6:.0f} MB free',
                'needed: space for the largest mini-batch, workers x 2 + 1 times',
                'set datasets.train.num_worker_per_gpu lower, or give a container more (docker run --shm-size=8g)',
            )
        )
