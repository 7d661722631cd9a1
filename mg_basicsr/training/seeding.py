"""All random generators of a training process, set as a function of the iteration: there is nothing to save."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's generators (CPU and every device) with a 64-bit number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def isolated_seed(seed: int) -> Iterator[None]:
    """Seeds the CPU generators for the body and puts them back as they were."""
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Whatever the body draws, the global generators of the CPU and of every device are put back as they were."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])
        if devices:
            torch.cuda.set_rng_state_all(devices)
