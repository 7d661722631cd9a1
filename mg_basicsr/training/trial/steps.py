"""Trial steps: whether a network accepts a shape, how long a step takes, and how much memory it needs."""

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

LEAST_STEPS, MOST_STEPS = 3, 30  # timed for a shape
MESSAGE_LENGTH = 200

# Messages for memory that ran out, of torch on CPUs and GPUs, of cuDNN, cuBLAS, oneDNN and C++.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|cannot allocate memory|ALLOC_FAILED|bad_alloc"
    r'|could not create a (memory|primitive)',
    re.IGNORECASE,
)


class Failure(NamedTuple):
    """Failure of a step.

    Attributes:
        message: The exception on one line, and the place in the code that raised it.
        out_of_memory: Whether memory ran out.
        final: Whether the device is unusable from now on, as after a CUDA error.
    """

    message: str
    out_of_memory: bool
    final: bool


class Timing(NamedTuple):
    """Time and memory of a step.

    Attributes:
        seconds: Median duration of a step in seconds.
        peak_mib: Peak memory in use on the device in MiB; None on a CPU.
    """

    seconds: float
    peak_mib: float | None


def attempt(step: Step, device: torch.device) -> Failure | None:
    """Make a step and wait for its end. Free the memory of a step that fails.

    Args:
        step: Makes one training step.
        device: Device of the model.

    Returns:
        The failure; None for a step that succeeds.

    Raises:
        MultigridError: the step raised it; its message already names the remedy.
    """
    try:
        step()
        _wait_for(device)
        return None
    except MultigridError:
        raise
    except Exception as error:
        failure = describe(error)
        traceback.clear_frames(error.__traceback__)  # their local variables hold activations
    gc.collect()  # outside of the handler, which holds the exception
    if device.type == 'cuda' and not failure.final:
        torch.cuda.empty_cache()
    return failure


def describe(error: BaseException) -> Failure:
    """Return the failure that an exception of a step means."""
    text = ' '.join(str(error).split())
    kinds = (MemoryError, torch.cuda.OutOfMemoryError)
    out_of_memory = isinstance(error, kinds) or bool(_OUT_OF_MEMORY.search(text))
    message = ': '.join(part for part in (type(error).__name__, text[:MESSAGE_LENGTH]) if part)
    return Failure(message + _place(error), out_of_memory, 'CUDA error' in text and not out_of_memory)


def _place(error: BaseException) -> str:
    """Return the last line of the traceback that is not in torch's code: usually one of the network's."""
    torch_root = Path(torch.__file__).parent
    frames = [f for f in traceback.extract_tb(error.__traceback__) if torch_root not in Path(f.filename).parents]
    return f' ({Path(frames[-1].filename).name}, line {frames[-1].lineno})' if frames else ''


def time_steps(step: Step, device: torch.device, seconds: float) -> Timing:
    """Time a training step, after one that is not counted, and measure its memory.

    Args:
        step: Makes one training step.
        device: Device of the model.
        seconds: Time to spend in seconds, about; at least LEAST_STEPS are timed, at most MOST_STEPS.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    step()  # not counted: kernels are chosen and memory is allocated
    _wait_for(device)
    times: list[float] = []
    while len(times) < LEAST_STEPS or (len(times) < MOST_STEPS and sum(times) < seconds):
        start = time.perf_counter()
        step()
        _wait_for(device)
        times.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == 'cuda' else None
    return Timing(median(times), peak)


def compare_steps(first: Step, second: Step, device: torch.device, seconds: float) -> float:
    """Return the duration of a training step relative to another, timed in turns, so that both meet the same machine.

    Args:
        first: Makes the step to compare with.
        second: Makes the step whose relative duration is returned.
        device: Device of the models.
        seconds: Time to spend in seconds, about; at least LEAST_STEPS of each are timed, at most MOST_STEPS.
    """
    for step in (first, second):
        step()  # not counted
    _wait_for(device)
    ratios: list[float] = []
    end = time.perf_counter() + seconds
    while len(ratios) < LEAST_STEPS or (len(ratios) < MOST_STEPS and time.perf_counter() < end):
        start = time.perf_counter()
        first()
        _wait_for(device)
        middle = time.perf_counter()
        second()
        _wait_for(device)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return median(ratios)


def _wait_for(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
