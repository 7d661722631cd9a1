"""Comparison of the host's datasets with ours, which replace only those that deliver the same samples.

A repository may register its own class under one of BasicSR's names. A class of a released BasicSR is recognised
by its source; any other, copies included, is compared with ours sample by sample under the same seeds.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from mg_basicsr.data.crops.pixels import to_float
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.host.data.origin import is_released
from mg_basicsr.training.seeding import isolated_seed

SEEDS = 4  # samples compared: with all augmentations, each of their draws comes out both ways in seeds 0 to 3


def difference(host: Any, ours: ClipDataset) -> str | None:
    """Return how a dataset of the host's differs from ours; None where they are equal.

    A copy of the host's dataset is read, so that the dataset itself opens no file here that its workers would inherit.

    Args:
        host: The host's dataset.
        ours: Our dataset for the same options.
    """
    if is_released(type(host)):
        return None
    try:
        if len(host) != len(ours):
            return f'it has {len(host):,} samples, and {len(ours):,} are expected'
        for seed in range(SEEDS):
            index = seed * (len(ours) - 1) // (SEEDS - 1)
            request = SampleRequest(index, ours.full_frames, ours.options.gt_size, seed)
            expected = as_host(ours[request])
            with isolated_seed(seed):
                found = copy.deepcopy(host)[index]
            if difference := sample_difference(found, expected):
                return f'sample {index}: {difference}'
    except Exception as error:  # of a class about which nothing is known
        message = ' '.join(f'{type(error).__name__}: {error}'.split())
        return f'it cannot be compared ({message[:200]})'
    return None


def as_host(sample: dict[str, Any]) -> dict[str, Any]:
    """Return a sample of ours with its 8-bit pixels as BasicSR's float32."""
    return {
        key: to_float(value) if torch.is_tensor(value) and value.dtype == torch.uint8 else value
        for key, value in sample.items()
    }


def sample_difference(found: Any, expected: dict[str, Any]) -> str | None:
    """Return the first difference between two samples: keys, types, shapes, then values; None where they are equal.

    Args:
        found: The sample of a dataset that is not ours.
        expected: Ours, as float32.
    """
    if not isinstance(found, dict):
        return f'it is a {type(found).__name__}, not a dict'
    if set(found) != set(expected):
        return f'it has the keys {", ".join(map(str, found))} instead of {", ".join(expected)}'
    for key, wanted in expected.items():
        value = found[key]
        if not torch.is_tensor(wanted):
            if value != wanted:
                return f'{key} is {value!r:.80} instead of {wanted!r:.80}'
        elif not torch.is_tensor(value):
            return f'{key} is a {type(value).__name__} instead of a tensor'
        elif (value.shape, value.dtype) != (wanted.shape, wanted.dtype):
            return f'{key} is {_described(value)} instead of {_described(wanted)}'
        elif not torch.equal(value, wanted):
            return f'{key} has other values under the same seed'
    return None


def _described(tensor: torch.Tensor) -> str:
    return f'{tuple(tensor.shape)} of {tensor.dtype}'
