"""Start of a loader's worker processes: one thread each, signals left to the parent."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SIGNALS = {signal.SIGINT, signal.SIGTERM}  # what a terminal or a scheduler sends to all processes of a job


def start_worker(worker: int) -> None:
    """Prepare a worker process: the `worker_init_fn` of the loader.

    One thread per worker: workers are the parallelism, and OpenCV's threads would compete with them for the cores.
    """
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    leave_signals_to_parent()


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Block the signals while workers are started, which inherit that: one may come before `start_worker` does.

    The process that starts them handles its own as ever, at the end of the block at the latest.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent() -> None:
    """Ignore the signals that a terminal or a scheduler sends to all processes of a job.

    The training process needs its workers to finish its step, and ends them itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # in threads of libraries; here it is blocked
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = os.getppid()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
