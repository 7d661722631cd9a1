"""Extension that keeps the memory that a step on a CPU frees for the next step."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.host_model import HostModel

# mallopt(3) of glibc: the parameters' numbers, and the largest values that it takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST_KEPT, _LARGEST_KEPT = 2**31 - 1, 32 * 2**20
# glibc's defaults, the second where it ends up: it follows the largest piece that was freed. With these, a step of the
# demo's network has as many page faults as in a new process, within the spread of several of those.
_USUAL_KEPT, _USUAL_LARGEST = 128 * 2**10, 32 * 2**20


class FreedMemory(Extension):
    """Extension that keeps freed memory after the first step, for a model on the CPU.

    Not earlier: during trial steps, a smaller batch might not find enough of the kept memory in one piece.
    """

    name = 'freed_memory'

    def attach(self, model: HostModel) -> list[str]:
        """Find out whether the model is on the CPU; see `Extension.attach`."""
        self.on_cpu = torch.device(getattr(model, 'device', 'cpu')).type == 'cpu'
        return []

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step, followed by `keep_freed_memory` the first time."""
        if not self.on_cpu:
            return call
        keep = functools.cache(keep_freed_memory)  # once in a process

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            keep()
            return result

        return step


def keep_freed_memory() -> bool:
    """Let glibc keep the memory that a step on a CPU frees, instead of returning it to the system.

    A step frees its activations and allocates as much again. By default most of it then comes as new pages, each of
    which the kernel has to clear and map: a tenth of a step of the demo's network. Allocations above 32 MiB still do.
    The process keeps its peak, and fragmented.

    Returns:
        Whether it was done: not with another allocator, nor where environment variables already set glibc's allocator.
    """
    return _limit(_LARGEST_KEPT, _MOST_KEPT)


@contextmanager
def memory_as_usual() -> Iterator[None]:
    """Return a context in which freed memory is returned to the system, as without this package; kept again after it.

    For steps of stock BasicSR, which are to be timed in a process that has called `keep_freed_memory`. Free memory
    below a piece that is in use at the end of the heap stays: steps may have fewer page faults than in a new process.
    """
    changed = _limit(_USUAL_LARGEST, _USUAL_KEPT)
    if changed:
        ctypes.CDLL(None).malloc_trim(0)  # what is kept already
    try:
        yield
    finally:
        if changed:
            keep_freed_memory()


def _limit(largest: int, kept: int) -> bool:
    """Set glibc's limits in bytes, and return whether it was done; see `keep_freed_memory`.

    Args:
        largest: Largest piece that is not mapped by itself.
        kept: Most free memory at the end of the heap.
    """
    if any(name.startswith('MALLOC_') for name in os.environ) or 'GLIBC_TUNABLES' in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, largest) and mallopt(_TRIM_THRESHOLD, kept))
