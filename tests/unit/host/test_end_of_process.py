"""What a run has begun is ended at the end of the process, in order, and nothing of it is waited for without end."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mg_basicsr.host import end_of_process
from mg_basicsr.host.end_of_process import end_in_order, end_in_order_at_exit, within
from mg_basicsr.host.run import Run, activate, active_run
from tests.helpers.ranks import reserved_port


class Loader:
    dataset, delivered, ended = None, None, 0

    def end(self) -> None:
        self.ended += 1


@pytest.fixture
def run() -> Iterator[Run]:
    found = Run(SimpleNamespace(in_loop=True))  # type: ignore[arg-type]
    activate(found)
    yield found
    activate(None)


def test_workers_model_and_handlers(run: Run) -> None:
    loader, model = Loader(), SimpleNamespace(net_g=nn.Linear(1, 1), optimizers=[])
    run.deliver_with(loader)
    run.adopt(model, [])  # type: ignore[arg-type]
    seen, before = weakref.ref(model.net_g), signal.getsignal(signal.SIGTERM)
    run.stop.watch()
    del model
    for _ in range(2):
        end_in_order(run)
        assert signal.getsignal(signal.SIGTERM) == before
        assert loader.ended == 1 and seen() is None and active_run() is None


def test_the_process_group_is_left_though_a_script_keeps_the_network(run: Run) -> None:
    with reserved_port() as reserved:
        url = f'tcp://127.0.0.1:{reserved.getsockname()[1]}'
        distributed.init_process_group('gloo', init_method=url, rank=0, world_size=1)
        network = DistributedDataParallel(nn.Linear(1, 1))
        network(torch.ones(1, 1)).sum().backward()
        run.adopt(SimpleNamespace(net_g=network, optimizers=[]), [])  # type: ignore[arg-type]
        end_in_order(run)
    assert not distributed.is_initialized() and not hasattr(network, 'process_group')


def test_events_are_on_the_disk(run: Run, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip('torch.utils.tensorboard')
    writer = tensorboard.SummaryWriter(str(tmp_path))
    writer.add_scalar('l_pix', 0.5, 7)
    end_in_order(run)
    assert b'l_pix' in b''.join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(thread.name.startswith('_Async') for thread in threading.enumerate())


def test_nothing_is_waited_for_without_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another rank has died, say, and the group's backend waits for it."""
    released = threading.Event()
    monkeypatch.setattr(end_of_process, 'SECONDS', 0.1)
    monkeypatch.setattr(end_of_process, '_leave_process_group', released.wait)
    start = time.monotonic()
    end_in_order(run)
    released.set()
    assert time.monotonic() - start < 5


def test_an_error_of_one_part_does_not_stop_the_others(run: Run) -> None:
    class Broken(Loader):
        def end(self) -> None:
            raise RuntimeError('CUDA error')

    run.deliver_with(Broken())
    end_in_order(run)
    assert active_run() is None
    assert within(1, lambda: 1 / 0)


def test_a_forked_process_ends_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[Any] = []
    monkeypatch.setattr(end_of_process.atexit, 'register', registered.append)
    ended: list[Run] = []
    monkeypatch.setattr(end_of_process, 'end_in_order', ended.append)
    end_in_order_at_exit(run)
    child = os.fork()
    if child == 0:
        registered[0]()
        os._exit(len(ended))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    registered[0]()
    assert ended == [run]
