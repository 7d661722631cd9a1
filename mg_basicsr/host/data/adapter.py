"""Adapter that makes any registered BasicSR dataset deliver the shape of a SampleRequest.

The dataset's class may read options in any way. It gets the shape in the usual option, and its samples are checked: a
larger crop or a longer clip is cut, at the same random place for every tensor of the sample; a smaller one is an error.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import Dataset

from mg_basicsr.data.sampling.permutation import mix
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import DataError, Problem
from mg_basicsr.training.seeding import isolated_seed

_CUT = 4  # stream of random numbers for cutting, separate from the dataset's own


class AdaptedDataset(Dataset[Any]):
    """BasicSR dataset under a plan.

    Its random choices follow from the request's seed: Python's, NumPy's and torch's generators are seeded for the
    sample and restored afterwards.

    Args:
        base: The dataset, with its options in `base.opt` if it has any.
        scale: GT pixels per LQ pixel and axis.
    """

    def __init__(self, base: Any, scale: int) -> None:
        self.base = base
        self.scale = scale

    def __len__(self) -> int:
        return len(self.base)

    def clip_name(self, index: int) -> str:
        """Return a name of a key for messages: its index and the class, since the dataset has no names."""
        return f'{index} of {type(self.base).__name__}'

    def __getitem__(self, request: SampleRequest | int) -> dict[str, Any]:
        """Return the sample in the requested shape; for a bare index, in the dataset's own.

        Raises:
            DataError: the dataset delivers a smaller crop or a shorter clip than requested.
        """
        if not isinstance(request, SampleRequest):
            return dict(self.base[request])
        with isolated_seed(request.seed), told_size(self.base, request.gt_size):
            sample = self.base[request.index]
        return cut(sample, request, self.scale, type(self.base).__name__)


@contextmanager
def told_size(base: Any, gt_size: int) -> Iterator[None]:
    """Set the dataset's `opt['gt_size']` for the body of the context: nearly every BasicSR dataset reads it per sample.

    Args:
        base: The dataset.
        gt_size: Edge of the GT crop in pixels.
    """
    opt = getattr(base, 'opt', None)
    if not isinstance(opt, MutableMapping) or 'gt_size' not in opt:
        yield
        return
    before = opt['gt_size']
    opt['gt_size'] = gt_size
    try:
        yield
    finally:
        opt['gt_size'] = before


def cut(sample: dict[str, Any], request: SampleRequest, scale: int, name: str) -> dict[str, Any]:
    """Cut `lq`, `gt` and every other tensor of the same frames and size to the requested shape.

    A tensor is assumed to have the clip's frames in its first axis if that is as long as in `lq`, and to be an image if
    its last two axes are as long as in `lq` or `gt`.

    Args:
        sample: Sample of the dataset; tensors are (c, h, w) for images, (t, c, h, w) for clips.
        request: The request.
        scale: GT pixels per LQ pixel and axis.
        name: Name of the dataset's class, for messages.

    Raises:
        DataError: a tensor is smaller than requested, or has one GT frame for another number of LQ frames.
    """
    lq, gt = sample['lq'], sample['gt']
    lq_size = request.gt_size // scale
    _check(lq, request.frames, lq_size, f'{name}: lq')
    _check(gt, 1 if gt.ndim < lq.ndim else request.frames, request.gt_size, f'{name}: gt')
    if gt.ndim < lq.ndim and lq.shape[0] != request.frames:
        raise DataError(
            Problem(
                'multigrid.temporal',
                f'{name} gives one GT frame for {lq.shape[0]} frames',
                'allowed: [1.0], a sliding-window network takes a fixed number of frames',
                'set multigrid.temporal: [1.0]',
            )
        )
    place = random.Random(mix(request.seed, _CUT))
    frames = lq.shape[0] if lq.ndim == 4 else 1
    first = place.randint(0, frames - request.frames) if lq.ndim == 4 else 0
    top = place.randint(0, lq.shape[-2] - lq_size)
    left = place.randint(0, lq.shape[-1] - lq_size)
    edges = {tuple(lq.shape[-2:]): 1, tuple(gt.shape[-2:]): scale}

    def cut_one(value: Any) -> Any:
        if not torch.is_tensor(value) or value.ndim < 1:
            return value
        if lq.ndim == 4 and value.shape[0] == frames:
            value = value[first : first + request.frames]
        factor = edges.get(tuple(value.shape[-2:])) if value.ndim >= 3 else None
        if factor:
            y, x, size = top * factor, left * factor, lq_size * factor
            value = value[..., y : y + size, x : x + size]
        return value.contiguous()

    return {key: cut_one(value) for key, value in sample.items()}


def _check(value: torch.Tensor, frames: int, size: int, what: str) -> None:
    delivered = value.shape[0] if value.ndim == 4 else 1
    if delivered < frames or min(value.shape[-2:]) < size:
        raise DataError(
            Problem(
                what,
                f'{tuple(value.shape)} for a request of {frames} frames of {size} x {size} pixels',
                'needed: at least the shape of the largest stage',
                'set datasets.train.gt_size and num_frame to what the dataset delivers',
            )
        )
