"""What stands between a dataset and a DataLoader: how a mini-batch is read, and errors that keep their form."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset, default_collate

from mg_basicsr.data.clips import ClipDataset
from mg_basicsr.data.convert import flipped, to_float
from mg_basicsr.data.request import BatchRequests
from mg_basicsr.data.ring import Ring, RingBatch
from mg_basicsr.errors import MultigridError


class Guarded(Dataset[Any]):
    """A dataset that is asked for whole mini-batches, and whose errors travel as values.

    A worker's exception would reach the training process as one with a traceback for its message; ours tell the user
    what to do, and are raised there as they are.

    Args:
        dataset: The dataset.
        as_float: Convert 8-bit crops to BasicSR's float32 here, in the worker, and not on the device.
        flip: Flip crops here. Otherwise one of ours leaves that to the device.
        ring: Where one of ours writes its crops.
    """

    def __init__(self, dataset: Any, as_float: bool = False, flip: bool = True, ring: Ring | None = None) -> None:
        self.dataset = dataset
        self.as_float = as_float
        self.flip = flip
        self.ring = ring

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, requests: BatchRequests) -> dict[str, Any] | RingBatch | MultigridError:
        """The mini-batch, or the error that stopped it."""
        try:
            if not isinstance(self.dataset, ClipDataset):
                batch = default_collate([self.dataset[request] for request in requests])
            elif self.ring is None:
                batch = default_collate([self._sample(self.dataset, request) for request in requests])
            else:
                return self._in_ring(self.dataset, requests, self.ring)
        except MultigridError as error:
            return error
        return pixels_to_float(batch) if self.as_float else batch

    def _sample(self, dataset: ClipDataset, request: Any, into: Any = None) -> dict[str, Any]:
        return dataset.read(dataset.draw(request), into, self.flip)

    def _in_ring(self, dataset: ClipDataset, requests: BatchRequests, ring: Ring) -> RingBatch:
        shapes = batch_shapes(dataset, requests)
        places = {name: tensor.numpy() for name, tensor in ring.tensors(requests.iteration, shapes).items()}
        samples = []
        for n, request in enumerate(requests):
            sample = self._sample(dataset, request, {name: place[n] for name, place in places.items()})
            samples.append({name: value for name, value in sample.items() if name not in shapes})
        return RingBatch(requests.iteration, shapes, default_collate(samples))


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
    """The collation: a mini-batch is whole already."""
    return batch


def limit_threads(worker: int) -> None:
    """One thread per worker: workers are the parallelism, and OpenCV's own threads would fight them for the cores."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
