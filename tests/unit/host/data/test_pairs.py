"""Datasets whose samples are no pairs of LQ and GT: what a sample holds decides, not a name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mg_basicsr.errors import ConfigError
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.pairs import check_pairs


class Holding:
    """Samples with these keys; reading one changes the dataset."""

    def __init__(self, *keys: str) -> None:
        self.keys, self.reads = keys, 0
        self.opt = {'gt_size': 8}

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return {key: torch.zeros(3, 8, 8) for key in self.keys}


class Broken(Holding):
    def __getitem__(self, index: int) -> Any:
        raise OSError('no such file')


class Tuples(Holding):
    def __getitem__(self, index: int) -> Any:
        return torch.zeros(3, 8, 8), torch.zeros(3, 8, 8)


@pytest.mark.parametrize(
    'dataset', [Holding('lq', 'gt', 'flow'), Broken('gt'), Tuples('gt')], ids=lambda d: type(d).__name__
)
def test_pairs_and_what_cannot_be_read_are_left_to_the_run(dataset: Any) -> None:
    check_pairs(AdaptedDataset(dataset, 4), 1, 8)
    assert dataset.reads == 0


@pytest.mark.parametrize(
    ('keys', 'told'),
    [
        (('gt', 'kernel1', 'sinc_kernel'), 'a sample has gt, kernel1, sinc_kernel, and no lq'),
        (('frame', 'voxel', 'frame_gt'), 'a sample has frame, voxel, frame_gt, and no lq and no gt'),
        (('lq', 'target'), 'a sample has lq, target, and no gt'),
    ],
)
def test_others_are_refused_with_what_they_hold(keys: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_pairs(AdaptedDataset(Holding(*keys), 4), 1, 8)
    assert f'datasets.train.type: Holding: {told}' in str(raised.value)
    assert ('cuts crops of another size' in str(raised.value)) == (keys[0] == 'gt')
