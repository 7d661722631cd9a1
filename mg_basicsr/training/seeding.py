"""Random generators of a training process. They are seeded by the iteration, so that checkpoints need no state.

Those that every process has are seeded by functions, those that objects hold by `OwnGenerators`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from mg_basicsr.training.state import MOST_OBJECTS, bits_of, generator_state, generators_in, is_atom

INCOMPLETE = (
    f'holds more than {MOST_OBJECTS:,} objects: generators of random numbers among the others are not known, and their '
    'numbers do not follow from the seed'
)
MOST_LOOKS = 8  # for generators that were made since, of which each takes a walk through all objects


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators (CPU and every device) with a 64-bit number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # NumPy takes 32 bits
    torch.manual_seed(seed)
    _seed_opencv(seed)


@contextmanager
def isolated_seed(seed: int) -> Iterator[None]:
    """Seed the CPU's generators for the body of the context, and restore their states afterwards."""
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the devices too
    _seed_opencv(seed)  # its state cannot be read, and so not be restored
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


def _seed_opencv(seed: int) -> None:
    opencv = sys.modules.get('cv2')
    if opencv is not None:
        opencv.setRNGSeed(seed % 2**31)


class OwnGenerators:
    """Random generators that objects hold, beside the global ones: a dataset's, a loss's, those of their modules.

    They are looked for once, once more after their first use, when some are made, and a few times again when the
    objects have other attributes, numbers and text aside.

    Args:
        roots: The objects.

    Attributes:
        complete: Whether all that the objects hold was looked at.
    """

    def __init__(self, *roots: Any) -> None:
        self._roots = roots
        self._found, self.complete = generators_in(*roots)
        self._attributes = self._ids()
        self._looks = MOST_LOOKS

    def seed(self, seed: int) -> None:
        """Seed all of them with a 64-bit number, each with another one that follows from it."""
        for number, generator in enumerate(self._found):
            seed_generator(generator, int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0]))

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Seed all of them for the body of the context, and restore their states afterwards."""
        states = [generator_state(generator) for generator in self._found]
        self.seed(seed)
        try:
            yield
        finally:
            for restore in states:
                if restore is not None:
                    restore()

    def look_again(self, thoroughly: bool = False) -> bool:
        """Return whether there are generators now that there were not before. They are seeded from now on.

        Args:
            thoroughly: Look also where the objects' own attributes are the same as before.
        """
        attributes = self._ids()
        thoroughly = thoroughly or self._looks == MOST_LOOKS
        if not self._looks or (attributes == self._attributes and not thoroughly):
            return False
        self._looks -= 1  # attributes may change at every use
        known, self._attributes = set(map(id, self._found)), attributes
        self._found, self.complete = generators_in(*self._roots)
        return any(id(generator) not in known for generator in self._found)

    def _ids(self) -> list[int]:
        attributes = (value for root in self._roots for value in getattr(root, '__dict__', {}).values())
        return [id(value) for value in attributes if not is_atom(value)]


def seed_generator(generator: Any, seed: int) -> None:
    """Seed one generator of Python, NumPy or torch.

    Args:
        generator: The generator.
        seed: A 64-bit number, >= 0.
    """
    if isinstance(generator, random.Random):
        generator.seed(seed)
    elif isinstance(generator, np.random.RandomState):
        generator.seed(seed % 2**32)
    elif isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    else:
        bits = bits_of(generator)
        bits.state = type(bits)(seed).state
