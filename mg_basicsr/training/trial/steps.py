"""Training steps made on trial: does a network take a shape, how long does a step take, and how much memory?"""

from __future__ import annotations

import gc
import re
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from mg_basicsr.errors import MultigridError

Step = Callable[[], object]

LEAST_STEPS, MOST_STEPS = 3, 30  # of a shape that are timed
MESSAGE_LENGTH = 200

# Memory that ran out, in the words of torch on CPUs and GPUs, of cuDNN, cuBLAS, oneDNN and C++.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|cannot allocate memory|ALLOC_FAILED|bad_alloc"
    r'|could not create a (memory|primitive)',
    re.IGNORECASE,
)


class Failure(NamedTuple):
    """Why a step failed.

    Attributes:
        message: The exception on one line, and the place in the code that raised it.
        out_of_memory: Memory ran out.
        final: The device does not answer any more; nothing else can be tried on it.
    """

    message: str
    out_of_memory: bool
    final: bool


class Timing(NamedTuple):
    """Seconds of one step (the median), and the most memory of the device in use meanwhile in MiB; None on a CPU."""

    seconds: float
    peak_mib: float | None


def attempt(step: Step, device: torch.device) -> Failure | None:
    """Makes a step and waits for its end. Memory that a failed one held is given back.

    Raises:
        MultigridError: as the step raised it; it tells the user what to do already.
    """
    try:
        step()
        _wait_for(device)
        return None
    except MultigridError:
        raise
    except Exception as error:
        failure = describe(error)
        traceback.clear_frames(error.__traceback__)  # they hold what was computed so far
    gc.collect()
    if device.type == 'cuda' and not failure.final:
        torch.cuda.empty_cache()
    return failure


def describe(error: BaseException) -> Failure:
    """What an exception says about a step."""
    text = ' '.join(str(error).split())
    kinds = (MemoryError, torch.cuda.OutOfMemoryError)
    out_of_memory = isinstance(error, kinds) or bool(_OUT_OF_MEMORY.search(text))
    message = ': '.join(part for part in (type(error).__name__, text[:MESSAGE_LENGTH]) if part)
    return Failure(message + _place(error), out_of_memory, 'CUDA error' in text and not out_of_memory)


def _place(error: BaseException) -> str:
    """The last line of the network's own code, not torch's, that the exception came through."""
    torch_root = Path(torch.__file__).parent
    frames = [f for f in traceback.extract_tb(error.__traceback__) if torch_root not in Path(f.filename).parents]
    return f' ({Path(frames[-1].filename).name}, line {frames[-1].lineno})' if frames else ''


def time_steps(step: Step, device: torch.device, seconds: float) -> Timing:
    """The median time of a step after one that is not counted, and its memory.

    Args:
        step: Makes one training step.
        device: Where.
        seconds: About how long to repeat it; at least three steps are timed, at most thirty.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    step()
    _wait_for(device)
    times: list[float] = []
    while len(times) < LEAST_STEPS or (len(times) < MOST_STEPS and sum(times) < seconds):
        start = time.perf_counter()
        step()
        _wait_for(device)
        times.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == 'cuda' else None
    return Timing(median(times), peak)


def _wait_for(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
