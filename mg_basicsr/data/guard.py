"""What stands between a dataset and a DataLoader: errors that keep their form, clips in the place of bad ones, and
workers that keep to themselves.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset, default_collate

from mg_basicsr.data.convert import to_float
from mg_basicsr.data.permutation import mix
from mg_basicsr.data.request import SampleRequest
from mg_basicsr.errors import ConfigError, MultigridError

ATTEMPTS = 10  # at replacing a clip: in a set with one bad clip in ten, all fail once in 10^10 bad clips
BAD_CLIPS = 'bad_clips'  # key of a batch, beside those of its samples

_REPLACEMENT = 5  # the stream of random numbers for other clips, beside those of the sampler, training and cutting


class Guarded(Dataset[Any]):
    """A dataset whose errors travel as values.

    A worker's exception would reach the training process as one with a traceback for its message; ours tell the user
    what to do, and are raised there as they are.

    Args:
        dataset: The dataset.
        as_float: Convert 8-bit crops to BasicSR's float32 here, in the worker, and not on the device.
        skipped: Exceptions of clips that are replaced by others; none by default. A ConfigError never is.
    """

    def __init__(self, dataset: Any, as_float: bool = False, skipped: tuple[type[Exception], ...] = ()) -> None:
        self.dataset = dataset
        self.as_float = as_float
        self.skipped = skipped

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, requests: list[SampleRequest]) -> Fetched | MultigridError:
        """The samples of a mini-batch, or the error that stopped it."""
        bad: dict[str, str] = {}
        try:
            samples = [self._sample(request, bad) for request in requests]
        except MultigridError as error:
            return error
        return Fetched([pixels_to_float(sample) for sample in samples] if self.as_float else samples, bad)

    def _sample(self, request: SampleRequest, bad: dict[str, str]) -> Any:
        """The sample, or that of the first replacement which can be read; what is wrong with the others goes to `bad`.

        If none can, the fault lies in more than a few clips, and the error of the one asked for is raised.
        """
        first: Exception | None = None
        for attempt in range(ATTEMPTS + 1):
            candidate = replacement(request, attempt, len(self.dataset)) if attempt else request
            try:
                return self.dataset[candidate]
            except ConfigError:
                raise
            except self.skipped as error:
                first = first or error
                name = self.dataset.clip_name(candidate.index)
                bad[name] = str(error) if isinstance(error, MultigridError) else repr(error)
        assert first is not None
        raise first


class Fetched(NamedTuple):
    """Samples, and the clips that could not be read: name -> what is wrong."""

    samples: list[Any]
    bad: dict[str, str]


def replacement(request: SampleRequest, attempt: int, num_keys: int) -> SampleRequest:
    """Another clip of the same shape, a function of the request and the number of the attempt."""
    seed = mix(request.seed, _REPLACEMENT, attempt)
    return replace(request, index=seed % num_keys, seed=mix(seed))


def pixels_to_float(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample or batch whose 8-bit tensors have become BasicSR's float32."""
    return {
        key: to_float(value) if torch.is_tensor(value) and value.dtype == torch.uint8 else value
        for key, value in sample.items()
    }


def collate(fetched: Any) -> Any:
    """Torch's usual collation of what was fetched; bad clips, if any, under BAD_CLIPS. An error passes through."""
    if isinstance(fetched, MultigridError):
        return fetched
    batch = default_collate(fetched.samples)
    return {**batch, BAD_CLIPS: fetched.bad} if fetched.bad else batch


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
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # in threads of libraries; here it is blocked
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = os.getppid()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
