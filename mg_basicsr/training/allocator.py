"""Extension: memory that a step on a CPU frees is kept for the next step."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any

import torch

from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.host_model import HostModel

# mallopt(3) of glibc: the parameters' numbers, and the largest values that it takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST_KEPT, _LARGEST_KEPT = 2**31 - 1, 32 * 2**20


class FreedMemory(Extension):
    """Keep freed memory after the first step, for a model on the CPU.

    Not earlier: while shapes are tried, a smaller batch might not find enough kept memory in one piece.
    """

    name = 'freed_memory'

    def attach(self, model: HostModel) -> list[str]:
        self.on_cpu = torch.device(getattr(model, 'device', 'cpu')).type == 'cpu'
        return []

    def around(self, call: TrainStep) -> TrainStep:
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
    """Let glibc keep what a step on a CPU frees for the next step, instead of handing it back to the system.

    A step frees its activations and asks for as much again; by default most of it then comes as new pages, each of
    which the kernel has to clear and map: a tenth of a step of the demo's network. Allocations above 32 MiB still do.
    The process keeps its peak, and in pieces.

    Returns:
        Whether it was done: not with another allocator, nor where the environment has settings of its own.
    """
    if any(name.startswith('MALLOC_') for name in os.environ) or 'GLIBC_TUNABLES' in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT))
