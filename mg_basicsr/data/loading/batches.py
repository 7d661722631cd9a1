"""Mini-batches: their shapes, and the conversion of their pixels on the device."""

from __future__ import annotations

from typing import Any

import torch

from mg_basicsr.data.crops.pixels import flipped, to_float
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.sampling.request import BatchRequests


def batch_shapes(dataset: ClipDataset, requests: BatchRequests) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a mini-batch's pixels by name, the number of clips first.

    Args:
        dataset: The dataset that will read the clips.
        requests: Requests of one shape, at least one.
    """
    first = requests[0]
    shapes = dataset.shapes(first.frames, first.gt_size)
    return {name: (len(requests), *shape) for name, shape in shapes.items()}


def pixels_to_float(batch: dict[str, Any]) -> dict[str, Any]:
    """Return a mini-batch with its 8-bit tensors as float32 in [0, 1], flipped by the codes in `flips`, if any."""
    flips = batch.get('flips')

    def final(pixels: torch.Tensor) -> torch.Tensor:
        return to_float(pixels if flips is None else flipped(pixels, flips))

    return {
        name: final(value) if torch.is_tensor(value) and value.dtype == torch.uint8 else value
        for name, value in batch.items()
        if name != 'flips'
    }


def as_delivered(batch: Any) -> Any:
    """Return a batch unchanged: the `collate_fn` for datasets that give whole mini-batches."""
    return batch
