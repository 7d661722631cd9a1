"""`prepare` with BasicSR's imresize, and on a real video."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mg_basicsr.data.store.building.verify import verify
from mg_basicsr.data.store.building.video import inspect
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.host.store_inputs import bicubic, degradation

needs_basicsr = pytest.mark.skipif(importlib.util.find_spec('basicsr') is None, reason='basicsr is not installed')


@pytest.fixture(scope='session')
def video() -> Path:
    """Thirty seconds of Big Buck Bunny at 480p, whose path $MG_TEST_VIDEO gives."""
    path = Path(os.environ.get('MG_TEST_VIDEO', ''))
    if not path.is_file():
        pytest.skip('MG_TEST_VIDEO names no video')
    return path


@needs_basicsr
@pytest.mark.parametrize('scale', [1, 2, 3, 4])
def test_bicubic_is_basicsr_own(scale: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (24, 36, 3), np.uint8)
    lq = degradation('bicubic', scale)(frame)  # type: ignore[misc]
    assert (lq.shape, lq.dtype) == ((24 // scale, 36 // scale, 3), np.uint8)
    assert np.array_equal(lq, bicubic(frame, scale))
    from basicsr.utils.matlab_functions import imresize

    wanted = imresize(frame.astype(np.float32) / 255, 1 / scale) * 255
    assert np.abs(lq - wanted.clip(0, 255)).max() <= 0.501


@pytest.mark.slow
def test_shots_of_a_real_video(video: Path) -> None:
    assert inspect(str(video)).shots == (0, 285, 378, 553)


@needs_basicsr
@pytest.mark.slow
def test_a_real_video_killed_at_twenty_random_moments(video: Path, tmp_path: Path) -> None:
    command = [sys.executable, '-m', 'mg_basicsr', 'prepare', '--gt', str(video), '--degradation', 'bicubic']
    command += ['--clip-length', '20', '--workers', '2', '-o']
    started = time.monotonic()
    subprocess.run([*command, str(tmp_path / 'undisturbed')], check=True, capture_output=True)
    usual = time.monotonic() - started
    rng = random.Random(0)
    store = tmp_path / 'store'
    for _ in range(20):
        process = subprocess.Popen([*command, str(store)], stdout=subprocess.DEVNULL)
        time.sleep(usual * rng.uniform(0.1, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (store / 'store.json').exists():
            verify_listed(store)
    time.sleep(1)  # its processes end with it
    subprocess.run([*command, str(store), '--verify'], check=True, capture_output=True)
    files = [
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()}
        for root in (store, tmp_path / 'undisturbed')
    ]
    assert files[0] == files[1]


def verify_listed(store: Path) -> None:
    if list(StoreFrames(store).clips):
        verify(store)
