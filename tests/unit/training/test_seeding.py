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

from mg_basicsr.training import state
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
    assert generators_in(holder) == ([generator], True)
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
    assert generators_in(holder) == ([], True)


def test_those_of_modules_whose_functions_are_used_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in (
        ('their_augment', 'import random\nRNG = random.Random()\ndef augment(x):\n    return RNG.random()\n'),
        ('their_set', 'from their_augment import augment\nclass Set:\n    pass\n'),
    ):
        monkeypatch.setitem(sys.modules, name, module := ModuleType(name))
        exec(code, module.__dict__)
    assert generators_in(sys.modules['their_set'].Set()).found == [sys.modules['their_augment'].RNG]


def test_the_import_system_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader of a module may hold a whole program, as that of a test holds pytest's."""
    monkeypatch.setitem(sys.modules, 'their_set', module := ModuleType('their_set'))
    exec('class Set:\n    pass\n', module.__dict__)
    module.__dict__['__loader__'] = Holder(random.Random())
    assert generators_in(sys.modules['their_set'].Set()) == ([], True)


def test_of_many_entries_the_first_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    holder = Holder(rng := random.Random(), [f'{n}' for n in range(100)], [{} for _ in range(100)], [rng])
    monkeypatch.setattr(state, 'MOST_ENTRIES', 10)
    found, complete = generators_in(holder)
    assert found[0] is rng and complete
    monkeypatch.setattr(state, 'MOST_OBJECTS', 5)
    assert not generators_in(holder).complete


def test_a_generator_deep_inside_that_is_made_at_the_first_use_is_found() -> None:
    holder = Holder(inner := Holder())
    own = OwnGenerators(holder)
    inner.held = (random.Random(),)
    assert own.look_again() and not own.look_again()


class Holder:
    def __init__(self, *held: Any) -> None:
        self.held = held
