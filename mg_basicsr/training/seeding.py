"""Random generators of a training process. They are seeded by the iteration, so that checkpoints need no state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators (CPU and every device) with a 64-bit number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # NumPy takes 32 bits
    torch.manual_seed(seed)


@contextmanager
def isolated_seed(seed: int) -> Iterator[None]:
    """Seed the CPU's generators for the body of the context, and restore their states afterwards."""
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the devices too
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Restore the states of all global generators, of the CPU and of every device, after the body of the context."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # the call would initialise CUDA
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])
        if devices:
            torch.cuda.set_rng_state_all(devices)
