"""Datasets that draw random numbers in every way that is known. Nothing of pytest is in this module's variables."""

from __future__ import annotations

import itertools
import random
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

RNG = np.random.default_rng()  # of the module, as some repositories have it
TRANSFORMS: list[Any] = []


class Slotted:
    __slots__ = ('rng',)

    def __init__(self) -> None:
        self.rng = random.Random()


class Compose:
    """As albumentations: each transform shares the generators of the pipeline."""

    def __init__(self) -> None:
        self.random_generator, self.py_random = np.random.default_rng(), random.Random()
        self.transforms = [self]

    def __call__(self) -> float:
        return float(self.random_generator.random()) + self.py_random.random()


class Theirs(Dataset[Any]):
    """One image, and a number that is drawn for every sample."""

    def __init__(self) -> None:
        self.opt = {'gt_size': 8}

    def __len__(self) -> int:
        return 12

    def draw(self) -> float:
        raise NotImplementedError

    def __getitem__(self, index: int) -> dict[str, Any]:
        drawn = torch.tensor([index, self.draw(), self.draw(), random.random()], dtype=torch.float64)
        return {'lq': torch.zeros(1, 3, 4, 4), 'gt': torch.zeros(1, 3, 8, 8), 'drawn': drawn}


class Attribute(Theirs):
    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng()

    def draw(self) -> float:
        return float(self.rng.random())


class Nested(Theirs):
    def __init__(self) -> None:
        super().__init__()
        self.parts = {'slots': [Slotted()], 'tuple': (torch.Generator(), np.random.RandomState())}
        torch.seed()
        self.parts['tuple'][0].seed()  # type: ignore[attr-defined]

    def draw(self) -> float:
        generator, state = self.parts['tuple']
        own = self.parts['slots'][0].rng.random()  # type: ignore[attr-defined]
        return float(own + state.rand() + torch.rand((), generator=generator).item())  # type: ignore[attr-defined]


class Pipeline(Theirs):
    def __init__(self) -> None:
        super().__init__()
        self.transform = Compose()

    def draw(self) -> float:
        return self.transform()


class BoundMethods(Theirs):
    """Keeps methods of generators, one of which is written in C."""

    def __init__(self) -> None:
        super().__init__()
        self.uniform, self.gauss = np.random.default_rng().uniform, random.Random().gauss

    def draw(self) -> float:
        return float(self.uniform()) + self.gauss(0, 1)


class BitGenerators(Theirs):
    def __init__(self) -> None:
        super().__init__()
        self.bits = [np.random.Philox(), np.random.MT19937(), np.random.SFC64()]

    def draw(self) -> float:
        return float(sum(bits.random_raw() % 1000 for bits in self.bits))


class OfTheModule(Theirs):
    def draw(self) -> float:
        return float(RNG.random())


class ObjectOfTheModule(Theirs):
    def draw(self) -> float:
        return float(TRANSFORMS[0]())


class MadeAtFirstUse(Theirs):
    """As some do to have another one in each worker."""

    rng: Any = None

    def draw(self) -> float:
        if self.rng is None:
            self.rng = np.random.default_rng()
        return float(self.rng.random())


class MadeForEachSample(Theirs):
    def draw(self) -> float:
        self.rng = np.random.default_rng(random.getrandbits(32))
        return float(self.rng.random())


class InAWrappedSet(Theirs):
    def __init__(self) -> None:
        super().__init__()
        self.dataset = Nested()

    def draw(self) -> float:
        return float(self.dataset[0]['drawn'].sum())


class Global(Theirs):
    def draw(self) -> float:
        return random.random() + float(np.random.rand()) + float(torch.rand(()))


class OfOpenCV(Theirs):
    def draw(self) -> float:
        return float(cv2.randu(np.zeros(1, np.float32), 0.0, 1.0)[0])


class ByTheWorker(Theirs):
    def draw(self) -> float:
        info = get_worker_info()
        return -1.0 if info is None else float(info.id)


class Two(Theirs):
    """Two generators in the same state."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = itertools.cycle([np.random.default_rng(0), np.random.default_rng(0)])
        self.first, self.second = next(self.pair), next(self.pair)
        self.turn = False

    def draw(self) -> float:
        self.turn = not self.turn
        return float((self.first if self.turn else self.second).random())


KINDS = [
    Attribute, Nested, Pipeline, BoundMethods, BitGenerators, OfTheModule, ObjectOfTheModule, MadeAtFirstUse,
    MadeForEachSample, InAWrappedSet, Global, OfOpenCV, ByTheWorker,
]  # fmt: skip
