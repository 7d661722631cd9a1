"""What stands between a dataset and a DataLoader: errors that keep their form, and workers that keep to one thread."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import torch
from torch.utils.data import Dataset, default_collate

from mg_basicsr.data.convert import to_float
from mg_basicsr.data.request import SampleRequest
from mg_basicsr.errors import MultigridError


class Guarded(Dataset[Any]):
    """A dataset whose errors travel as values.

    A worker's exception would reach the training process as one with a traceback for its message; ours tell the user
    what to do, and are raised there as they are.

    Args:
        dataset: The dataset.
        as_float: Convert 8-bit crops to BasicSR's float32 here, in the worker, and not on the device.
    """

    def __init__(self, dataset: Any, as_float: bool = False) -> None:
        self.dataset = dataset
        self.as_float = as_float

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, requests: list[SampleRequest]) -> list[Any] | MultigridError:
        """The samples of a mini-batch, or the error that stopped it."""
        try:
            samples = [self.dataset[request] for request in requests]
        except MultigridError as error:
            return error
        return [pixels_to_float(sample) for sample in samples] if self.as_float else samples


def pixels_to_float(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample or batch whose 8-bit tensors have become BasicSR's float32."""
    return {
        key: to_float(value) if torch.is_tensor(value) and value.dtype == torch.uint8 else value
        for key, value in sample.items()
    }


def collate(samples: list[Any] | MultigridError) -> Any:
    """The usual collation of torch; an error passes through."""
    return samples if isinstance(samples, MultigridError) else default_collate(samples)


def start_worker(worker: int) -> None:
    """What a worker process does first.

    One thread per worker: workers are the parallelism, and OpenCV's own threads would fight them for the cores.
    """
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    leave_signals_to_parent()


def leave_signals_to_parent() -> None:
    """Makes this process deaf to what a terminal or a scheduler sends to all processes of a job.

    The training process finishes its step, for which it needs its workers, and ends them itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # for threads of libraries; a blocked signal is waited for all the same
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = os.getppid()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
