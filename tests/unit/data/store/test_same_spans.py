"""With sampling grids too, samples from folders, LMDBs and stores are the same, in any worker."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90KRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, lmdb_block, to_lmdb
from tests.helpers.store_sets import MakeStore, write_noise

# clips of 1 to 4 frames; spans up to the frame's smaller edge, so that areas are at its borders and not square
REQUESTS = [SampleRequest(seed * 7 % 40, 1 + seed % 4, 16, seed, 1 + seed % 3, 48) for seed in range(40)]


@pytest.fixture(scope='module')
def noise_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise(tmp_path_factory.mktemp('noise'), {'001': 30, '002': 14}, (48, 60), SCALE)


def parsed(options: dict[str, Any]) -> TrainSetOptions:
    return TrainSetOptions.parse(options, SCALE).replace(degradation='bicubic')


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first['key'] == second['key']
    for name in ('lq', 'gt'):
        assert torch.equal(first[name], second[name])


@pytest.mark.parametrize('source', ['lmdb', 'raw', 'zstd'])
@pytest.mark.parametrize('kind', [REDSRecurrent, REDS])
def test_storage_makes_no_difference(
    noise_set: Path, tmp_path: Path, make_store: MakeStore, source: str, kind: Any
) -> None:
    options = parsed(block(noise_set, random_reverse=True, interval_list=[1, 2]))
    folders = kind(options)
    if source == 'lmdb':
        copied = to_lmdb(noise_set, tmp_path)
        other = kind(parsed(lmdb_block(noise_set, copied, random_reverse=True, interval_list=[1, 2])))
    else:
        other = kind(options, open_store(make_store(options, 'reds', source), options))
    for request in REQUESTS:
        if kind is REDSRecurrent or request.frames % 2:
            assert_same(folders[request], other[request])


@pytest.mark.parametrize('whole', [True, False])
def test_septuplets(vimeo: Path, make_store: MakeStore, whole: bool) -> None:
    options = parsed(block(vimeo, num_frame=-1, flip_sequence=True))
    store = open_store(make_store(options, 'vimeo', 'raw', whole), options)
    for seed in range(20):
        request = SampleRequest(seed % 3, 6, 16, seed, 2, 48)
        assert_same(Vimeo90KRecurrent(options)[request], Vimeo90KRecurrent(options, store)[request])


def test_a_stride_reads_one_run_of_frames(
    noise_set: Path, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One copy per tile and side, whatever the stride."""
    options = parsed(block(noise_set))
    store = open_store(make_store(options, 'reds', 'raw'), options)
    dataset = REDSRecurrent(options, store)
    request = next(r for r in REQUESTS if r.frames == 4 and set(_steps(dataset.draw(r).lq_frames)) == {3})
    reads: list[tuple[int, int]] = []
    clip = store._opened(dataset.draw(request).sequence)
    original = clip.read

    def read(crops: Any, *rest: Any) -> Any:
        reads.extend((crop.run.step, crop.run.frames) for crop in crops)
        return original(crops, *rest)

    monkeypatch.setattr(clip, 'read', read)
    dataset[SampleRequest(request.index, 4, 16, request.seed, request.max_stride)]
    assert reads == [(3, 4), (3, 4)]


def _steps(frames: tuple[int, ...]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(frames)]


@pytest.mark.parametrize(
    ('method', 'workers'), [('fork', 1), ('fork', 2), pytest.param('spawn', 2, marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_samples_do_not_depend_on_workers(noise_set: Path, make_store: MakeStore, method: str, workers: int) -> None:
    options = parsed(block(noise_set))
    dataset = REDSRecurrent(options, open_store(make_store(options, 'reds', 'raw'), options))
    wanted = [dataset[request] for request in REQUESTS]
    loader = DataLoader(dataset, sampler=REQUESTS, batch_size=None, num_workers=workers, multiprocessing_context=method)
    for sample, other in zip(loader, wanted, strict=True):
        assert_same(sample, other)
