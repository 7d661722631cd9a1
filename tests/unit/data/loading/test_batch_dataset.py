"""Clips in the place of those that cannot be read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import lmdb
import pytest
import torch
from torch.utils.data import DataLoader

from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.loading.batch_dataset import ATTEMPTS, BAD_CLIPS, Guarded, replacement
from mg_basicsr.data.loading.batches import as_delivered
from mg_basicsr.data.loading.shared_ring import Ring, RingBatch
from mg_basicsr.data.loading.workers import start_worker
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header, clip_path
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, lmdb_block

REQUESTS = [SampleRequest(index, 3, 16, 1000 + index) for index in range(46)]
SOURCES = ['folder', 'lmdb', 'raw', 'zstd']


class Squares:
    """Gives the square of a key, and raises what `bad` has for it."""

    def __init__(self, bad: dict[int, Exception]) -> None:
        self.bad = bad

    def __len__(self) -> int:
        return 100

    def __getitem__(self, request: SampleRequest) -> dict[str, Any]:
        if request.index in self.bad:
            raise self.bad[request.index]
        return {'square': request.index**2, 'frames': request.frames, 'seed': request.seed % 997}

    def clip_name(self, index: int) -> str:
        return f'clip {index}'


def batch_of(guarded: Guarded, requests: list[SampleRequest]) -> Any:
    return guarded.__getitems__(BatchRequests(0, requests))


def broken(index: int) -> DataError:
    return DataError(Problem('', f'{index} is broken'))


def test_a_replacement_is_a_function_of_the_request() -> None:
    others = [replacement(REQUESTS[5], attempt, 46) for attempt in range(1, ATTEMPTS + 1)]
    assert others == [replacement(REQUESTS[5], attempt, 46) for attempt in range(1, ATTEMPTS + 1)]
    assert {(other.frames, other.gt_size) for other in others} == {(3, 16)}
    assert len({other.seed for other in others}) == ATTEMPTS and len({other.index for other in others}) > ATTEMPTS / 2
    assert others[0] != replacement(SampleRequest(5, 3, 16, 0), 1, 46)
    assert all(0 <= other.index < 46 for other in others)


def test_only_bad_clips_are_replaced() -> None:
    guarded = Guarded(Squares({3: broken(3)}), skipped=(DataError,))
    whole = batch_of(guarded, REQUESTS[:3])
    assert whole['square'].tolist() == [0, 1, 4] and BAD_CLIPS not in whole
    batch = batch_of(guarded, REQUESTS[:5])
    assert batch[BAD_CLIPS] == {'clip 3': '3 is broken'}
    other = replacement(REQUESTS[3], 1, 100)
    assert batch['square'].tolist() == [0, 1, 4, other.index**2, 16]


def test_a_replacement_that_is_bad_too_is_replaced() -> None:
    first = replacement(REQUESTS[3], 1, 100).index
    guarded = Guarded(Squares({3: broken(3), first: broken(first)}), skipped=(DataError,))
    batch = batch_of(guarded, [REQUESTS[3]])
    assert batch['square'].tolist() == [replacement(REQUESTS[3], 2, 100).index ** 2]
    assert list(batch[BAD_CLIPS]) == ['clip 3', f'clip {first}']


def test_a_fault_of_all_clips_is_an_error() -> None:
    guarded = Guarded(Squares({n: broken(n) for n in range(100)}), skipped=(DataError,))
    result = batch_of(guarded, REQUESTS[:5])
    assert isinstance(result, DataError) and str(result) == '0 is broken'


def test_what_is_never_skipped() -> None:
    mistake = ConfigError(Problem('gt_size', ''))
    assert batch_of(Guarded(Squares({3: mistake}), skipped=(Exception,)), REQUESTS[:5]) is mistake
    error = broken(3)
    assert batch_of(Guarded(Squares({3: error})), REQUESTS[:5]) is error  # on_bad_frame: error
    with pytest.raises(KeyError):
        batch_of(Guarded(Squares({3: KeyError('x')}), skipped=(DataError,)), REQUESTS[:5])


def test_any_exception_of_somebody_elses_dataset() -> None:
    guarded = Guarded(Squares({3: AttributeError('no astype')}), skipped=(Exception,))
    batch = batch_of(guarded, REQUESTS[:5])
    assert batch[BAD_CLIPS] == {'clip 3': "AttributeError('no astype')"} and len(batch['square']) == 5
    all_bad = Squares(dict.fromkeys(range(100), AttributeError('no astype')))
    with pytest.raises(AttributeError, match='no astype'):
        batch_of(Guarded(all_bad, skipped=(Exception,)), REQUESTS[:5])


def damaged(source: str, reds: Path, reds_lmdb: Path, root: Path) -> tuple[REDSRecurrent, list[str]]:
    """The set with a damaged frame, or with a damaged clip in a store, and what the message has to say."""
    if source == 'lmdb':
        shutil.copytree(reds_lmdb, root / 'lmdb')
        with lmdb.open(str(root / 'lmdb/LQ.lmdb')) as environment, environment.begin(write=True) as transaction:
            transaction.put(b'002/00000004', b'noise')
        dataset = REDSRecurrent(TrainSetOptions.parse(lmdb_block(reds, root / 'lmdb'), SCALE))
        return dataset, [str(root / 'lmdb/LQ.lmdb'), 'clip 002, frame 00000004', 'cannot be decoded']
    shutil.copytree(reds, root / 'set')
    options = TrainSetOptions.parse(block(root / 'set'), SCALE)
    if source == 'folder':
        (root / 'set/LQ/002/00000004.png').write_bytes(b'noise')
        return REDSRecurrent(options), ['LQ/002/00000004.png', 'clip 002, frame 00000004', 'meta_info_file']
    header = Header(SCALE) if source == 'raw' else Header(SCALE, 'zstd', 4)
    build(root / 'store', header, from_options(options, 'reds', None))
    clip = clip_path(root / 'store', '002')
    clip.write_bytes(clip.read_bytes()[:-100])
    return REDSRecurrent(options, open_store(root / 'store', options)), [str(clip), 'clip 002', 'prepare']


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_every_source_and_number_of_workers(source: str, reds: Path, reds_lmdb: Path, tmp_path: Path) -> None:
    dataset, message = damaged(source, reds, reds_lmdb, tmp_path)
    requests: Any = [BatchRequests(first, REQUESTS[first : first + 5]) for first in range(0, 45, 5)]

    def delivered(workers: int, ring: Ring | None) -> list[dict[str, Any]]:
        guarded = Guarded(dataset, ring=ring, skipped=(DataError,))
        settings: Any = {'num_workers': workers, 'collate_fn': as_delivered, 'worker_init_fn': start_worker}
        batches = DataLoader(guarded, batch_sampler=requests, **settings)
        return [ring.batch(batch) if ring and isinstance(batch, RingBatch) else batch for batch in batches]

    runs = [delivered(0, None), delivered(1, None), delivered(2, Ring(46, 1 << 20))]
    for batches in zip(*runs, strict=True):
        assert all(batch.keys() == batches[0].keys() and batch['key'] == batches[0]['key'] for batch in batches)
        assert all(torch.equal(batch[side], batches[0][side]) for batch in batches for side in ('lq', 'gt'))
        assert batches[0]['gt'].shape == (5, 3, 3, 16, 16)
    bad = [batch[BAD_CLIPS] for batch in runs[0] if BAD_CLIPS in batch]
    assert bad and all(set(names) == {'002'} for names in bad)
    assert all(part in bad[0]['002'] for part in message)
    with pytest.raises(DataError):
        next(iter(DataLoader(dataset, sampler=[SampleRequest(41, 3, 16, 0)], batch_size=None)))
