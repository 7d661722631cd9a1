"""A collated batch cut into parts equals the collated parts of the samples."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from mg_basicsr.errors import TrainingError
from mg_basicsr.training.batch_parts import split_batch

CLIPS = 4
Flow = namedtuple('Flow', 'forward backward')


def t(n: int, *shape: int) -> torch.Tensor:
    return torch.arange(n * 100, n * 100 + torch.Size(shape).numel()).reshape(shape)


# What a dataset may add to a sample, as a function of the clip's number.
EXTRAS = {
    'image': lambda n: t(n, 3, 2, 2),
    'number': lambda n: n,
    'fraction': lambda n: n / 3,
    'truth': lambda n: n % 2 == 0,
    'array': lambda n: np.full((2, 2), n),
    'scalar of numpy': lambda n: np.float32(n),
    'text': lambda n: f'clip {n}',
    'bytes': lambda n: bytes([n]),
    'list of 2 tensors': lambda n: [t(n, 2), t(n, 3)],
    'list of as many tensors as clips': lambda n: [t(n, 2) for _ in range(CLIPS)],
    'tuple of tensors': lambda n: (t(n, 2), t(n, 1)),
    'list of 3 texts': lambda n: [f'{n}/{k}' for k in range(3)],
    'list of as many texts as clips': lambda n: [f'{n}/{k}' for k in range(CLIPS)],
    'list of one text': lambda n: [f'{n}'],
    'list of numbers': lambda n: [n, n + 1, n + 2],
    'mixed list': lambda n: [f'{n}', n, t(n, 2)],
    'empty list': lambda n: [],
    'dictionary': lambda n: {'start': n, 'name': f'{n}', 'frames': [t(n, 2), t(n, 2)]},
    'ordered dictionary': lambda n: OrderedDict(a=t(n, 1), b=[f'{n}', f'-{n}']),
    'dictionary with a default': lambda n: defaultdict(list, a=t(n, 1)),
    'named tuple': lambda n: Flow(t(n, 2, 2), f'{n}'),
    'list of dictionaries': lambda n: [{'k': t(n, 2), 'key': f'{n}'}] * 3,
    'lists in lists': lambda n: [[t(n, 1), t(n, 2)], [t(n, 3), f'{n}']],
    'deep': lambda n: {'a': [{'b': (Flow({'c': f'{n}'}, t(n, 1)), [n, n])}]},
}


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize('parts', [1, 2, 4])
@pytest.mark.parametrize('kind', EXTRAS)
def test_cutting_a_collated_batch_is_collating_cut_samples(kind: str, parts: int) -> None:
    samples = [{'lq': t(n, 3, 2), 'extra': EXTRAS[kind](n)} for n in range(CLIPS)]
    size = CLIPS // parts
    expected = [default_collate(samples[n * size : (n + 1) * size]) for n in range(parts)]
    found = split_batch(default_collate(samples), parts)
    assert len(found) == parts
    assert all(map(same, found, expected))


@pytest.mark.parametrize('value', [torch.tensor(2.0), np.array(2.0), 'bicubic', 4, None, True, {'sigma': 1.5}])
def test_what_cannot_be_per_clip_goes_whole_into_every_part(value: Any) -> None:
    for part in split_batch({'lq': torch.zeros(CLIPS, 3), 'extra': value}, 2):
        assert part['extra'] == value
        assert len(part['lq']) == CLIPS // 2


def test_a_list_that_was_not_collated_is_cut_by_its_length() -> None:
    ragged = [torch.full((n + 1, 2), n) for n in range(CLIPS)]
    parts = split_batch({'lq': torch.zeros(CLIPS, 3), 'boxes': ragged}, 2)
    assert [[int(box[0, 0]) for box in part['boxes']] for part in parts] == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ('value', 'told'),
    [
        (torch.zeros(3, 5), r'extra: shape \(3, 5\)'),
        (np.zeros((1, 5)), r'extra: shape \(1, 5\)'),
        ({'kernel': [torch.zeros(7)]}, r'extra\.kernel\.0: shape \(7,\)'),
        (['a', 'b', 'c'], 'extra: 3 entries'),
        ({1, 2, 3, 4}, 'extra: an object of type set'),
        (torch.eye(CLIPS).to_sparse(), 'extra: a nested or sparse tensor'),
    ],
)
def test_what_is_neither_is_refused_by_key_and_shape(value: Any, told: str) -> None:
    with pytest.raises(TrainingError, match=f'(?s){told}.*max_clips'):
        split_batch({'lq': torch.zeros(CLIPS, 3), 'extra': value}, 2)


def test_parts_that_do_not_divide_the_clips_are_refused() -> None:
    with pytest.raises(TrainingError, match='4 clips'):
        split_batch({'lq': torch.zeros(CLIPS, 3)}, 3)
