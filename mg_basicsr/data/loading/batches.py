"""Mini-batches: their shapes, and what is done to their pixels once they are on the device."""

from __future__ import annotations

from typing import Any

import torch

from mg_basicsr.data.crops.pixels import flipped, to_float
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.sampling.request import BatchRequests


def batch_shapes(dataset: ClipDataset, requests: BatchRequests) -> dict[str, tuple[int, ...]]:
    """Shapes of a mini-batch's pixels; all requests of one have the same shape."""
    first = requests[0]
    shapes = dataset.shapes(first.frames, first.gt_size)
    return {name: (len(requests), *shape) for name, shape in shapes.items()}


def pixels_to_float(batch: dict[str, Any]) -> dict[str, Any]:
    """A mini-batch whose 8-bit tensors have become BasicSR's float32, flipped if that was left to do."""
    flips = batch.get('flips')

    def final(pixels: torch.Tensor) -> torch.Tensor:
        return to_float(pixels if flips is None else flipped(pixels, flips))

    return {
        name: final(value) if torch.is_tensor(value) and value.dtype == torch.uint8 else value
        for name, value in batch.items()
        if name != 'flips'
    }


def as_delivered(batch: Any) -> Any:
    """The collation of a loader whose dataset gives whole mini-batches."""
    return batch
