"""Comparison of the host's datasets with ours, which replace only those that deliver the same samples.

A repository may register its own class under one of BasicSR's names. A class of a released BasicSR is recognised
by its source; any other, copies included, is compared with ours sample by sample under the same seeds. What it does
to a sample now and then shows in what it has drawn, and what it does later in what it keeps from sample to sample.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from types import FunctionType
from typing import Any

import numpy as np
import torch

from mg_basicsr.data.crops.pixels import to_float
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.host.data.origin import is_released
from mg_basicsr.training.seeding import isolated_seed
from mg_basicsr.training.state import generator_state, reachable

OF_READING = ('file_client', 'io_backend_opt', 'neighbor_list')  # what BasicSR's own classes change in a read
LIBRARIES = ('torch', 'typing', 'builtins')
SEEDS = 4  # samples compared: with all augmentations, each of their draws comes out both ways in seeds 0 to 3


def difference(host: Any, ours: ClipDataset) -> str | None:
    """Return how a dataset of the host's differs from ours; None where they are equal.

    A copy of the host's dataset is read, so that the dataset itself opens no file here that its workers would inherit.

    Args:
        host: The host's dataset.
        ours: Our dataset for the same options.
    """
    try:
        if len(host) != len(ours):
            return f'it has {len(host):,} samples, and {len(ours):,} are expected'
        if not is_released(type(host)):
            return _difference_of_samples(host, ours)
        return _difference_of_keys(host, ours)
    except Exception as error:  # of a class about which nothing is known
        message = ' '.join(f'{type(error).__name__}: {error}'.split())
        return f'it cannot be compared ({message[:200]})'


def _difference_of_keys(host: Any, ours: ClipDataset) -> str | None:
    """Return the first key that differs, as where a script has filtered or sorted a dataset after it was built."""
    for index, key in enumerate(getattr(host, 'keys', ())):
        if key != ours.key(index):
            return f'key {index} is {key!r:.80} instead of {ours.key(index)!r:.80}'
    return None


def _own_generator(host: Any) -> str | None:
    """Return the type of a generator that a dataset has to itself: its draws do not follow from a sample's seed."""
    own = [base for base in type(host).__mro__ if base.__module__.partition('.')[0] not in LIBRARIES]
    methods = [method for base in own for method in vars(base).values() if isinstance(method, FunctionType)]
    of_modules = [value for method in methods for value in method.__globals__.values()]
    for value in (*of_modules, *reachable(host)):
        if generator_state(value) is not None:
            return type(value).__name__
    return None


def _difference_of_samples(host: Any, ours: ClipDataset) -> str | None:
    for seed in range(SEEDS):
        index = seed * (len(ours) - 1) // (SEEDS - 1)
        rng = random.Random(seed)
        request = SampleRequest(index, ours.full_frames, ours.options.gt_size, seed)
        expected = as_host(ours.read(ours.draw(request, rng)))
        theirs = copy.deepcopy(host)
        kept = _kept(theirs)
        with isolated_seed(seed):
            others = _other_generators()
            found = theirs[index]
            as_drawn = random.getstate() == rng.getstate() and _other_generators() == others
        if difference := sample_difference(found, expected):
            return f'sample {index}: {difference}'
        if not as_drawn:
            return f'sample {index}: other random numbers have been drawn for it'
        if changed := [name for name, value in _kept(theirs).items() if kept.get(name) != value]:
            return f'it keeps {", ".join(changed)} from sample to sample'
        if generator := _own_generator(theirs):
            return f'it has a separate random generator ({generator})'
    return None


def _other_generators() -> tuple[bytes, bytes]:
    """Return the states of the generators that BasicSR's classes do not draw from."""
    return repr(np.random.get_state(legacy=False)).encode(), torch.get_rng_state().numpy().tobytes()


def _kept(host: Any) -> dict[str, str]:
    """Return the attributes of a dataset that may count samples, or list them."""
    plain = (bool, int, float, str, list, tuple, deque)
    return {
        name: repr(value)
        for name, value in vars(host).items()
        if name not in OF_READING and (value is None or isinstance(value, plain))
    }


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
