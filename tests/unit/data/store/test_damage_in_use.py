"""A store that is damaged while it is trained from: an error that names store and clip, never the process's end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.kernels import compiled
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.loading.batch_dataset import BAD_CLIPS, Guarded
from mg_basicsr.data.loading.batches import as_delivered
from mg_basicsr.data.loading.workers import start_worker
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.data.store import reader
from mg_basicsr.data.store.format import clip_path
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block
from tests.helpers.store_sets import MakeStore, write_noise

FRAMES = 12
SIZE = 160, 240
SEQUENCE = FrameSequence('001', FRAMES, *SIZE)
WINDOW = Window(4, 8, 144)
SHARES = [0, 0.2, 0.5, 0.9, 1]  # of the file that stays; 1: all but the last byte


@pytest.fixture(scope='module')
def noise_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise(tmp_path_factory.mktemp('noise'), {'001': FRAMES, '002': FRAMES, '003': FRAMES}, SIZE, SCALE)


@pytest.fixture(scope='module', params=['kernel', 'numpy', 'zstd'])
def whole(request: pytest.FixtureRequest, noise_set: Path, make_store: MakeStore) -> Path:
    if request.param == 'kernel' and not compiled:
        pytest.skip('there is no compiled kernel')
    codec = 'zstd' if request.param == 'zstd' else 'raw'
    root = make_store(TrainSetOptions.parse(block(noise_set), SCALE), 'reds', codec)
    (root / 'reader').write_text(request.param)
    return root


@pytest.fixture
def store(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    if (whole / 'reader').read_text() == 'numpy':
        monkeypatch.setattr(reader, 'compiled', None)
    yield Path(shutil.copytree(whole, tmp_path / 'store'))


def read(frames: StoreFrames) -> np.ndarray:
    out = np.empty((FRAMES, 3, WINDOW.size, WINDOW.size), np.uint8)
    frames.read_gt(SEQUENCE, range(FRAMES), WINDOW, Flips(), out)
    return out


def shorten(root: Path, share: float, name: str = '001') -> None:
    path = clip_path(root, name)
    size = path.stat().st_size
    os.truncate(path, min(int(share * size), size - 1))


@pytest.mark.parametrize('share', SHARES)
def test_a_clip_that_is_cut_short_while_it_is_open(store: Path, share: float) -> None:
    frames = StoreFrames(store)
    before = read(frames)
    shorten(store, share)
    for _ in range(3):
        if (store / 'reader').read_text() == 'kernel' or share < 0.5:
            with pytest.raises(DataError, match='has become shorter while it was in use') as error:
                read(frames)
            assert f'store {store}, clip 001' in str(error.value.problems[0]).partition('\n')[0]
        else:  # read by position, crops before the cut are as they were
            try:
                assert np.array_equal(read(frames), before)
            except DataError as told:
                assert 'has become shorter' in str(told)


def test_a_clip_that_is_cut_short_while_it_is_being_read(store: Path) -> None:
    """Again and again, from several threads: an error each time or the right pixels."""
    path = clip_path(store, '001')
    data = path.read_bytes()
    right = read(StoreFrames(store))
    ended = threading.Event()
    wrong: list[str] = []
    errors = 0

    def keep_reading() -> None:
        nonlocal errors
        frames = StoreFrames(store)
        while not ended.is_set():
            try:
                if not np.array_equal(read(frames), right):
                    wrong.append('other pixels')
            except DataError as error:
                errors += 1
                if 'clip 001' not in str(error):
                    wrong.append(str(error))
                frames = StoreFrames(store)

    threads = [threading.Thread(target=keep_reading) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(60):
        os.truncate(path, len(data) * (number % 4) // 4)
        partial = path.with_name('new')  # whole again under the name, as `prepare` writes it
        partial.write_bytes(data)
        threading.Event().wait(0.002)
        os.replace(partial, path)
        threading.Event().wait(0.002)
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert errors


def test_such_a_clip_can_be_skipped(store: Path, noise_set: Path) -> None:
    options = TrainSetOptions.parse(block(noise_set), SCALE)
    dataset = REDSRecurrent(options, open_store(store, options))
    guarded = Guarded(dataset, skipped=(DataError,))
    requests = BatchRequests(0, [SampleRequest(index, 5, 128, index) for index in (0, FRAMES, 2 * FRAMES)])
    whole = guarded.__getitems__(requests)
    assert isinstance(whole, dict) and BAD_CLIPS not in whole
    shorten(store, 0, '002')
    batch = guarded.__getitems__(requests)
    assert isinstance(batch, dict)
    assert 'has become shorter' in batch[BAD_CLIPS]['002']
    assert [key[:3] for key in batch['key']][::2] == ['001', '003']
    assert '002' not in [key[:3] for key in batch['key']]
    told = Guarded(dataset).__getitems__(requests)
    assert isinstance(told, DataError) and 'clip 002' in str(told)


@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_a_worker_outlives_such_a_clip(store: Path, noise_set: Path) -> None:
    """Its error arrives in the training process, and the next mini-batch after it."""
    options = TrainSetOptions.parse(block(noise_set), SCALE)
    dataset = REDSRecurrent(options, open_store(store, options))
    requests = [BatchRequests(n, [SampleRequest(n % 2 * FRAMES, 5, 128, n)]) for n in range(12)]
    settings: Any = {'collate_fn': as_delivered, 'worker_init_fn': start_worker, 'prefetch_factor': 2}
    loader = iter(DataLoader(Guarded(dataset), batch_sampler=requests, num_workers=1, **settings))
    assert isinstance(next(loader), dict)
    shorten(store, 0)
    rest = list(loader)
    assert [type(batch) for batch in rest[-4:]] == [DataError, dict, DataError, dict]


PROGRAM = """
import os, signal, sys
import numpy as np
import faulthandler
from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import DataError
root, how = sys.argv[1:]
frames, out = StoreFrames(root), np.empty((12, 3, 144, 144), np.uint8)
read = lambda: frames.read_gt(FrameSequence('001', 12, 160, 240), range(12), Window(4, 8, 144), Flips(), out)
read()
if how == 'later':
    faulthandler.enable()  # sets a handler of its own over ours
os.truncate(os.path.join(root, 'clips/001.clip'), 0)
for _ in range(2):
    try:
        read()
        sys.exit('no error')
    except DataError as error:
        assert 'has become shorter' in str(error)
print('told', flush=True)
if how == 'other':
    os.kill(os.getpid(), signal.SIGBUS)  # not ours to catch
"""


@pytest.mark.parametrize('how', ['plain', 'later', 'other'])
def test_handlers_of_others(store: Path, how: str) -> None:
    done = subprocess.run([sys.executable, '-c', PROGRAM, str(store), how], capture_output=True, text=True, check=False)
    assert done.stdout == 'told\n', done.stderr
    assert done.returncode == (-signal.SIGBUS if how == 'other' else 0), done.stderr
