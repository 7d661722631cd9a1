"""Check that samples of an adapted dataset depend on the request alone, not on what was read before.

Otherwise they would depend on the number of workers and on where a run was resumed. Generators of random numbers are
seeded by the adapter. What is left are counters, lists and caches that a read changes, and sources of random numbers
that cannot be seeded. So the same requests are read from fresh copies of the dataset, and one after the other from one
copy.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.log import logger
from mg_basicsr.training.seeding import INCOMPLETE, OwnGenerators

REQUESTS = 4  # seeds 0 to 3, in which all augmentations of BasicSR come out both ways


def check_repeatable(dataset: AdaptedDataset, frames: int, gt_size: int) -> None:
    """Check that a dataset delivers the same sample for the same request.

    Nine samples are read, of four copies. A sample that cannot be read is left to the run, which reports it. With
    `multigrid.adapter.repeatable: false` a difference is only logged.

    Args:
        dataset: The dataset. Copies of it are read.
        frames: Frames of a clip.
        gt_size: GT crop in pixels.

    Raises:
        ConfigError: samples differ.
    """
    if not OwnGenerators(dataset.base).complete:
        logger().warning(f'multigrid: {type(dataset.base).__name__} {INCOMPLETE}')
    last = len(dataset) - 1
    requests = [SampleRequest(n * last // (REQUESTS - 1), frames, gt_size, n) for n in range(REQUESTS)]
    difference = first_difference(dataset, requests)
    if difference is None:
        return
    problem = Problem(
        'datasets.train.type',
        f'{type(dataset.base).__name__}: {difference}',
        'needed: samples that follow from the index and from random numbers alone, so that they do not depend on the '
        'number of workers, or on where a run was resumed',
        'draw from the generators of random, numpy or torch, and let reading a sample change nothing on self that '
        'another depends on; or set multigrid.adapter: {repeatable: false} to train on such samples all the same',
    )
    if dataset.rules.repeatable:
        raise ConfigError(problem)
    logger().warning(f'multigrid: {problem}')


def first_difference(dataset: AdaptedDataset, requests: Sequence[SampleRequest]) -> str | None:
    """Return where the sample of a request differs when it is read again, after others; None where none does.

    Args:
        dataset: The dataset. Copies of it are read.
        requests: Two or more requests.
    """
    copied = dataset.copies()
    used = copied()
    # the first twice in a row, then the others, then the first once more
    order = [0, 0, *range(1, len(requests)), 0]
    fresh: dict[int, Any] = {}
    for done, n in enumerate(order):
        request = requests[n]
        try:
            found = used[request]
            if n not in fresh:
                # of its own memory: a dataset may deliver a buffer that it fills again
                fresh[n] = copy.deepcopy(copied()[request] if done else found)
        except Exception:  # of any kind: what a run does then depends on its options
            continue
        where = value_difference(found, fresh[n])
        if where is not None:
            again = 'again after others' if done > 1 else 'twice'
            return f'sample {request.index}, read {again} with the same random numbers, {where}'
    return None


def value_difference(found: Any, expected: Any, key: str = '') -> str | None:
    """Return the first difference between two values of a sample, in keys, types, shapes and values; None without one.

    Args:
        found: A sample, or a part of it.
        expected: The other one.
        key: Its place in the sample; a key inside another follows a point.
    """
    name = key or 'the sample'
    if type(found) is not type(expected):
        return f'has {name} as a {type(found).__name__}, not as a {type(expected).__name__}'
    if isinstance(found, (torch.Tensor, np.ndarray)):
        return _array_difference(found, expected, name)
    if isinstance(found, dict):
        if list(found) != list(expected):
            return f'has the keys {", ".join(map(str, found))} in {name}, not {", ".join(map(str, expected))}'
        pairs = [(found[part], expected[part], f'{key}.{part}' if key else str(part)) for part in found]
    elif isinstance(found, (list, tuple)):
        if len(found) != len(expected):
            return f'has {len(found)} entries in {name}, not {len(expected)}'
        pairs = [(one, other, f'{key}.{n}') for n, (one, other) in enumerate(zip(found, expected, strict=True))]
    else:
        plain = isinstance(found, (int, float, complex, str, bytes, np.generic))
        nans = isinstance(found, float) and math.isnan(found) and math.isnan(expected)
        return f'has other values in {name}' if plain and not nans and found != expected else None
    return next((where for pair in pairs if (where := value_difference(*pair)) is not None), None)


def _array_difference(found: Any, expected: Any, name: str) -> str | None:
    if found.shape != expected.shape:
        return f'has the shape {tuple(found.shape)} in {name}, not {tuple(expected.shape)}'
    if found.dtype != expected.dtype:
        return f'has {found.dtype} in {name}, not {expected.dtype}'
    one, other = (np.asarray(value) for value in (found, expected))
    equal = (one == other) | ((one != one) & (other != other))  # NaN equals NaN
    return None if bool(np.all(equal)) else f'has other values in {name}'
