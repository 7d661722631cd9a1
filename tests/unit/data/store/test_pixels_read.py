"""What a progressive schedule reads from a store of images: the crops of its samples, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.data.store import raw_clip, reader
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import block, write_pair
from tests.helpers.stock_options import resolved, stock
from tests.helpers.store_sets import noise

EDGES = {'scale': (1, 4), 'size': (448, 512)}
SIZES, MINI_BATCHES = [128, 160, 192, 256, 320, 384], [8, 5, 4, 2, 1, 1]
ITERS = [92, 64, 48, 36, 36, 24]  # Restormer's, in thousandths


@pytest.fixture(scope='module', params=EDGES['scale'], ids=['x1', 'x4'])
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PairedImage:
    """Three images in a store, raw, in the tiles that `prepare` makes."""
    scale = request.param
    root = tmp_path_factory.mktemp('images')
    for number in range(3):
        write_pair(root, f'{number}.png', noise(number, EDGES['size']), scale)
    options = TrainSetOptions.parse(block(root, scale=scale, gt_size=384, meta_info_file=None), scale)
    store = root / 'store'
    build(store, Header(scale), from_options(options, 'images', None))
    return PairedImage(options, open_store(str(store), options))


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Bytes of each piece that is copied out of a store's file by the reader in NumPy."""
    counts: list[int] = []

    def counting(shape: Any, dtype: Any, buffer: Any, *rest: Any) -> np.ndarray:
        array = np.ndarray(shape, dtype, buffer, *rest)
        if not isinstance(buffer, np.ndarray):  # the file, not the sample that is filled
            counts.append(array.nbytes)
        return array

    monkeypatch.setattr(reader, 'compiled', None)
    monkeypatch.setattr(raw_clip, 'np', SimpleNamespace(ndarray=counting))
    yield counts


def test_bytes_copied_are_those_of_the_samples(images: PairedImage, copied: list[int]) -> None:
    lists = {'gt_sizes': SIZES, 'mini_batch_sizes': MINI_BATCHES, 'iters': ITERS}
    changes = {
        'num_gpu': 1,
        'scale': images.options.scale,
        'datasets.train.type': 'PairedImageDataset',
        'datasets.train.gt_size': 384,
        'datasets.train.batch_size_per_gpu': 8,
        'train.total_iter': 30,
        'train.fix_flow': 0,
    }
    plan = resolved(stock(block={'preset': 'progressive', **lists}, changes=changes)).plan
    sampler = MultigridSampler(plan, len(images), seed=1)
    assert sorted({stage.shape.size for stage in plan.stages}) == SIZES
    for iteration in range(plan.total_iter):
        copied.clear()
        samples = [images[request] for request in sampler.requests(iteration)]
        used = sum(sample[side].numel() for sample in samples for side in ('lq', 'gt'))
        step = plan(iteration)
        of_step = 3 * step.shape.pixels * (1 + 1 / images.options.scale**2)
        assert used == of_step
        assert used <= sum(copied) <= 1.2 * used
