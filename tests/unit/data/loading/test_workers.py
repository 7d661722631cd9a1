"""Datasets in the worker processes of a DataLoader."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.loading.workers import signals_held_back, start_worker
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, lmdb_block

REQUESTS = [SampleRequest(index, 3, 16, index) for index in range(0, 46, 6)]


@pytest.mark.parametrize(
    ('method', 'workers'), [('fork', 1), ('fork', 2), pytest.param('spawn', 2, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize('backend', ['disk', 'lmdb'])
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_samples_do_not_depend_on_workers(reds: Path, reds_lmdb: Path, backend: str, method: str, workers: int) -> None:
    options: dict[str, Any] = block(reds) if backend == 'disk' else lmdb_block(reds, reds_lmdb)
    dataset = REDSRecurrent(TrainSetOptions.parse(options, SCALE))
    wanted = [dataset[request] for request in REQUESTS]  # so an LMDB is open here when the workers start
    loader = DataLoader(dataset, sampler=REQUESTS, batch_size=None, num_workers=workers, multiprocessing_context=method)
    samples = list(loader)
    assert [sample['key'] for sample in samples] == [sample['key'] for sample in wanted]
    for sample, other in zip(samples, wanted, strict=True):
        assert torch.equal(sample['gt'], other['gt'])
        assert torch.equal(sample['lq'], other['lq'])


def slow_start(worker: int) -> None:
    """Prepare a worker that is signalled before it is prepared."""
    for name in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), name)
    time.sleep(0.1)
    start_worker(worker)


@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_a_signal_before_a_worker_is_prepared_does_not_end_it() -> None:
    handled: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: handled.append(number))
    try:
        loader = DataLoader(list(range(4)), batch_size=None, num_workers=2, worker_init_fn=slow_start)  # type: ignore[arg-type]
        with signals_held_back():
            samples = iter(loader)
            os.kill(os.getpid(), signal.SIGINT)
        assert list(samples) == [0, 1, 2, 3]
        assert handled == [signal.SIGINT]  # this process gets its own
    finally:
        signal.signal(signal.SIGINT, before)
