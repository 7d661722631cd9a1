"""What of a sample follows the clip and the crop: a table, and what is refused."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from mg_basicsr.config.adapter_rules import AdapterRules
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import DataError
from mg_basicsr.host.data.fit import fit

SCALE = 2


def numbered(*shape: int) -> torch.Tensor:
    """A tensor whose values tell their first index."""
    return torch.arange(shape[0], dtype=torch.float32).reshape(-1, *[1] * (len(shape) - 1)).expand(*shape).clone()


def images(frames: int, height: int = 16, width: int = 16) -> dict[str, Any]:
    """`lq` tells its place: frame, row and column; `gt` shows the same, twice as large."""
    place = torch.arange(height * width, dtype=torch.float32).reshape(height, width)
    lq = torch.arange(frames).reshape(-1, 1, 1, 1) * 1000 + place.expand(frames, 3, height, width)
    return {'lq': lq, 'gt': lq.repeat_interleave(2, -1).repeat_interleave(2, -2)}


def fitted(sample: dict[str, Any], frames: int, lq_size: int = 16, seed: int = 0, **rules: Any) -> dict[str, Any]:
    request = SampleRequest(0, frames, lq_size * SCALE, seed)
    mirrored = rules.pop('mirrored', False)
    return fit(sample, request, AdapterRules(**rules), scale=SCALE, name='Theirs', mirrored=mirrored)


def first(value: Any) -> list[float]:
    """The first index of each entry that is left of a `numbered` value."""
    return [float(np.asarray(entry).flat[0]) for entry in value]


def test_a_clip_is_its_first_frames_and_gt_shows_the_same_place() -> None:
    for seed in range(5):
        sample = fitted(images(15), 7, 8, seed)
        assert sample['lq'].shape == (7, 3, 8, 8) and sample['gt'].shape == (7, 3, 16, 16)
        assert (sample['lq'] // 1000)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
        assert torch.equal(sample['lq'], sample['gt'][..., ::2, ::2])


def test_the_start_may_be_random_and_mirrored_clips_stay_mirrored() -> None:
    clips = [
        fitted({**images(15), 'a': numbered(15, 2), 'b': numbered(28, 2)}, 7, seed=n, start='random') for n in range(20)
    ]
    starts = {int(clip['lq'][0, 0, 0, 0]) // 1000 for clip in clips}
    assert len(starts) > 4
    for clip in clips:
        start = int(clip['lq'][0, 0, 0, 0]) // 1000
        assert first(clip['a']) == list(range(start, start + 7)) and first(clip['b']) == list(
            range(2 * start, 2 * start + 12)
        )
    sample = images(14)
    sample['lq'][7:] = sample['lq'][:7].flip(0)
    half = fitted(sample, 10, mirrored=True)['lq']
    assert torch.equal(half, half.flip(0)) and len(half) == 10


class Pair(NamedTuple):
    left: Any
    right: Any


FOLLOWS = {
    'per frame': (numbered(15, 4), lambda v: first(v) == [0, 1, 2, 3, 4, 5, 6]),
    'per pair of frames': (numbered(14, 2, 16, 16), lambda v: first(v) == [0, 1, 2, 3, 4, 5]),
    'one number per frame': (numbered(15), lambda v: first(v) == [0, 1, 2, 3, 4, 5, 6]),
    'two per frame': (numbered(30, 4), lambda v: first(v) == list(range(14))),
    'two per pair': (numbered(28, 2, 16, 16), lambda v: first(v) == list(range(12))),
    'five images per frame': (numbered(75, 1, 16, 16), lambda v: first(v) == list(range(35))),
    'list of names': ([f'{n}.png' for n in range(15)], lambda v: v == [f'{n}.png' for n in range(7)]),
    'tuple per pair': (tuple(range(14)), lambda v: v == tuple(range(6))),
    'queue': (deque(range(15)), lambda v: list(v) == list(range(7))),
    'array': (np.arange(14.0), lambda v: isinstance(v, np.ndarray) and first(v) == [0, 1, 2, 3, 4, 5]),
    'voxel grids': (  # of as many bins as there are frames: only the list runs along time
        [numbered(15, 16, 16) for _ in range(14)], lambda v: len(v) == 6 and v[0].shape == (15, 16, 16)
    ),
    'nested': (
        {'flow': {'forward': numbered(14, 2, 16, 16)}, 'name': 'x' * 15},
        lambda v: len(v['flow']['forward']) == 6 and v['name'] == 'x' * 15,
    ),
    'forward and backward': ([numbered(14, 2), numbered(14, 2)], lambda v: [len(e) for e in v] == [6, 6]),
    'named tuple': (Pair(numbered(15, 2), 3), lambda v: type(v) is Pair and len(v.left) == 7 and v.right == 3),
}  # fmt: skip


@pytest.mark.parametrize('case', FOLLOWS)
def test_what_follows_the_frames(case: str) -> None:
    value, expected = FOLLOWS[case]
    assert expected(fitted({**images(15), 'other': value}, 7)['other'])


STAYS = [
    3,
    0.5,
    'a' * 15,
    b'b' * 15,
    None,
    torch.tensor(15),
    torch.zeros(4),
    torch.zeros(3, 5, 5),
    [1, 2],
    {'a': [0.1]},
]


@pytest.mark.parametrize('value', STAYS, ids=lambda value: str(value).replace('\n', '')[:20])
def test_what_belongs_to_the_whole_clip_stays(value: Any) -> None:
    found = fitted({**images(15), 'other': value}, 7, 8)['other']
    assert torch.equal(found, value) if torch.is_tensor(value) else found == value


def test_nothing_is_cut_nor_refused_where_the_shape_is_the_samples_own() -> None:
    sample = {**images(3), 'mean': torch.zeros(3), 'image': torch.zeros(3, 16, 16), 'half': torch.zeros(3, 3, 8, 8)}
    found = fitted(sample, 3)
    assert all(found[key] is value for key, value in sample.items())


@pytest.mark.parametrize(
    ('frames', 'value'),
    [
        (3, torch.zeros(3, 16, 16)),  # an image, or three masks
        (4, torch.zeros(3, 32, 32)),
        (15, torch.zeros(2, 14, 16, 16)),  # time in the second axis
        (15, torch.zeros(3, 15)),
        (15, torch.zeros(15, 15)),
        (7, torch.zeros(21, 21)),  # a kernel?
        (3, [torch.zeros(2, 2), torch.zeros(2, 2)]),  # of three frames: two directions, or one per pair
        (2, torch.zeros(1, 2)),
        (4, dict.fromkeys(range(4), 'name')),
        (4, {'deep': torch.zeros(2, 3, 16, 16)}),
        (4, {f'{frame:04d}': torch.zeros(2) for frame in range(4)}),
        (4, dict.fromkeys(['0_1', '1_2', '2_3'], 0.5)),
        (15, torch.zeros(16)),  # times at the limits of frames
        (15, ['name'] * 13),
        (15, torch.zeros(13, 3, 16, 16)),  # second differences
        (15, torch.zeros(8, 3, 16, 16)),  # every other frame
        (15, torch.zeros(5, 16, 16)),  # events of the whole clip
        (15, torch.zeros(3, 32, 32)),  # the frame in the middle
        (15, torch.zeros(15, 15, 16, 16)),
        (15, torch.zeros(1, 24000)),  # sound
    ],
    ids=lambda value: str(value).replace('\n', '')[:40],
)
def test_what_cannot_be_placed_in_time_is_refused_by_key_and_shape(frames: int, value: Any) -> None:
    sample = {**images(frames), 'odd': value}
    path = 'odd.deep' if isinstance(value, dict) and 'deep' in value else 'odd'
    shape = r'\(.*\)|of \d'
    with pytest.raises(DataError, match=rf'^Theirs: {path}: .*({shape})(?s:.)*multigrid\.adapter'):
        fitted(sample, frames - 1)
    assert fitted(sample, frames - 1, time=())['odd'] is not None


@pytest.mark.parametrize(
    'value',
    [
        torch.zeros(16, 16, 3),
        torch.zeros(3, 8, 8),
        torch.zeros(3, 64, 64),
        np.zeros((32, 32, 1)),
        torch.zeros(256, 2, 1),  # a coordinate per pixel
        torch.zeros(5, 3, 20, 20),  # padded
        torch.zeros(5, 64, 2, 2),  # coefficients of blocks
    ],
    ids=np.shape,
)
def test_what_cannot_be_placed_in_space_is_refused_by_key_and_shape(value: Any) -> None:
    with pytest.raises(DataError, match=r'^Theirs: odd: .*\(\d+, \d+, [\d, ]+\) (?s:.)*multigrid\.adapter\.space'):
        fitted({**images(5), 'odd': value}, 5, 8)
    assert fitted({**images(5), 'odd': value}, 5, 8, space=())['odd'].shape == value.shape


def test_the_rules_of_the_block_are_all_there_are() -> None:
    sample = {
        **images(3),
        'mean': torch.zeros(3),
        'meta': {'mask': torch.zeros(3, 16, 16)},
        'kernel': torch.zeros(6, 6),
    }
    found = fitted(sample, 2, 8, time=('meta.mask',), space=())
    assert found['lq'].shape == (2, 3, 8, 8) and found['gt'].shape == (2, 3, 16, 16)
    assert (found['mean'].shape, found['kernel'].shape) == ((3,), (6, 6))
    assert found['meta']['mask'].shape == (2, 16, 16)
    assert fitted(sample, 2, 8, time=('meta',), space=('meta',))['meta']['mask'].shape == (2, 8, 8)
    with pytest.raises(DataError, match=r'^Theirs: kernel: .*neither the edges'):
        fitted(sample, 2, 8, time=(), space=('kernel',))
    with pytest.raises(DataError, match=r'^Theirs: five: .*neither T nor'):
        fitted({**sample, 'five': torch.zeros(5)}, 2, time=('five',))


def test_masks_without_channels_follow_the_crop() -> None:
    found = fitted({**images(1), 'mask': torch.zeros(16, 16), 'gt_mask': torch.zeros(1, 32, 32)}, 1, 8)
    assert found['mask'].shape == (8, 8) and found['gt_mask'].shape == (1, 16, 16)


def test_images_that_are_not_square_keep_their_aspect_or_are_refused() -> None:
    sample = fitted({**images(5, 16, 28), 'flow': torch.zeros(4, 2, 16, 28)}, 3, 8)
    assert sample['lq'].shape == (3, 3, 8, 14) and sample['gt'].shape == (3, 3, 16, 28)
    assert sample['flow'].shape == (2, 2, 8, 14)
    assert torch.equal(sample['lq'], sample['gt'][..., ::2, ::2])
    with pytest.raises(DataError, match=r'^Theirs: lq: .*(?s:.)*multiple of 8'):
        fitted(images(5, 16, 28), 3, 6)


@pytest.mark.parametrize(
    ('changes', 'frames', 'size', 'message'),
    [
        ({'gt': torch.zeros(3, 32, 32)}, 3, 16, 'multigrid.temporal: .*one GT frame'),
        ({'gt': torch.zeros(3, 3, 32, 32)}, 3, 16, 'multigrid.temporal: .*3 GT frames for 5'),
        ({'gt': torch.zeros(5, 3, 40, 40)}, 5, 8, r'Theirs: gt: \(5, 3, 40, 40\)'),
        ({'gt': None}, 5, 16, 'Theirs: gt: missing'),
        ({'lq': [torch.zeros(3, 16, 16)] * 5}, 5, 16, 'Theirs: lq: list of 5'),
        ({}, 6, 16, r'Theirs: lq: \(5, 3, 16, 16\) for a request of 6 frames'),
        ({}, 5, 17, r'Theirs: lq: .*17 x 17'),
    ],
    ids=str,
)
def test_pixels_that_do_not_fit_the_request(changes: dict[str, Any], frames: int, size: int, message: str) -> None:
    with pytest.raises(DataError, match=f'^{message}'):
        fitted({**images(5), **changes}, frames, size)


def test_a_sliding_window_keeps_its_one_gt_image() -> None:
    sample = {'lq': images(5)['lq'], 'gt': images(1)['gt'][0]}
    found = fitted(sample, 5, 8)
    assert found['lq'].shape == (5, 3, 8, 8) and found['gt'].shape == (3, 16, 16)
