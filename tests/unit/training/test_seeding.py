"""Every generator is seeded: those of the process, and those that objects hold."""

from __future__ import annotations

import random
import sys
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mg_basicsr.training.seeding import OwnGenerators, isolated_seed, seed_everything, seed_generator
from mg_basicsr.training.state import generators_in


def drawn() -> list[float]:
    opencv = cv2.randu(np.zeros(2, np.float32), 0.0, 1.0)
    return [random.random(), float(np.random.rand()), float(torch.rand(())), *map(float, opencv.ravel())]


def test_generators_of_the_process_follow_from_the_seed() -> None:
    results = []
    for _ in range(2):
        seed_everything(2**63 + 5)
        results.append(drawn())
    with isolated_seed(2**63 + 5):
        results.append(drawn())
    assert results[0] == results[1] == results[2]


GENERATORS: list[Any] = [
    random.Random(), np.random.RandomState(), np.random.default_rng(), torch.Generator(),
    *(np.random.Generator(bits()) for bits in (np.random.MT19937, np.random.Philox, np.random.SFC64)),
    np.random.PCG64DXSM(),
]  # fmt: skip


def draw(generator: Any) -> float:
    if isinstance(generator, torch.Generator):
        return float(torch.rand((), generator=generator))
    return float(generator.random_raw() if isinstance(generator, np.random.BitGenerator) else generator.random())


@pytest.mark.parametrize('generator', GENERATORS, ids=lambda value: type(value).__name__)
def test_every_kind_is_found_seeded_and_restored(generator: Any) -> None:
    holder = [{'rng': generator}]
    assert generators_in(holder) == [generator]
    own, results = OwnGenerators(holder), []
    for seed in (2**64 - 1, 2**64 - 1, 3):
        with own.seeded(seed):
            results.append(draw(generator))
    assert results[0] == results[1] != results[2]
    seed_generator(generator, 7)
    first = draw(generator)
    seed_generator(generator, 7)
    with own.seeded(1):
        draw(generator)
    assert draw(generator) == first


def test_global_generators_and_those_without_a_state_are_not_among_them() -> None:
    holder = {'a': random.random, 'b': np.random.mtrand._rand, 'c': torch.default_generator, 'd': random.SystemRandom()}
    assert generators_in(holder) == []


def test_those_of_modules_whose_functions_are_used_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in (
        ('their_augment', 'import random\nRNG = random.Random()\ndef augment(x):\n    return RNG.random()\n'),
        ('their_set', 'from their_augment import augment\nclass Set:\n    pass\n'),
    ):
        monkeypatch.setitem(sys.modules, name, module := ModuleType(name))
        exec(code, module.__dict__)
    assert generators_in(sys.modules['their_set'].Set()) == [sys.modules['their_augment'].RNG]
