"""Samples of an adapted dataset follow from the request, whatever generators the dataset holds."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from mg_basicsr.config.adapter_rules import AdapterRules
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.host.data.adapter import AdaptedDataset

RNG = np.random.default_rng()  # of the module, as some repositories have it
TRANSFORMS: list[Any] = []

Draw = Callable[[], float]


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


KINDS = [
    Attribute, Nested, Pipeline, BoundMethods, BitGenerators, OfTheModule, ObjectOfTheModule, MadeAtFirstUse,
    MadeForEachSample, InAWrappedSet, Global, OfOpenCV, ByTheWorker,
]  # fmt: skip


@pytest.fixture(autouse=True)
def transforms(monkeypatch: pytest.MonkeyPatch) -> None:
    TRANSFORMS[:] = [Compose()]


def requests(count: int = 8) -> list[SampleRequest]:
    return [SampleRequest(n % 12, 1, 8, 1000 + n) for n in range(count)]


def adapted(kind: type[Theirs]) -> AdaptedDataset:
    return AdaptedDataset(kind(), 2, AdapterRules(time=(), space=()))


def drawn(dataset: AdaptedDataset, wanted: list[SampleRequest], workers: int = 0) -> list[list[float]]:
    loader = DataLoader(dataset, sampler=wanted, batch_size=None, num_workers=workers)  # type: ignore[arg-type]
    return [sample['drawn'].tolist() for sample in loader]


@pytest.mark.parametrize('kind', KINDS)
def test_order_workers_and_resume_make_no_difference(kind: type[Theirs]) -> None:
    wanted = requests()
    whole = drawn(adapted(kind), wanted)
    assert len(set(map(tuple, whole))) == len(whole)
    assert [drawn(adapted(kind), wanted, workers) for workers in (1, 2)] == [whole, whole]
    assert drawn(adapted(kind), wanted[5:]) == whole[5:]  # another process, in the middle of the run
    used = adapted(kind)
    assert drawn(used, wanted[::-1])[::-1] == whole and drawn(used, wanted) == whole


@pytest.mark.parametrize('kind', KINDS)
def test_copies_are_read_alike(kind: type[Theirs]) -> None:
    used = adapted(kind)
    whole = drawn(used, requests())
    for copied in (copy.deepcopy(used), pickle.loads(pickle.dumps(used)), used.copied()):
        assert drawn(copied, requests()) == whole


def test_states_are_put_back() -> None:
    used = adapted(Nested)
    generator, state = used.base.parts['tuple']
    before = generator.get_state(), state.get_state()[1].tolist(), random.getstate()
    drawn(used, requests(3))
    assert torch.equal(generator.get_state(), before[0])
    assert (state.get_state()[1].tolist(), random.getstate()) == before[1:]


def test_the_draws_of_two_generators_differ() -> None:
    class Two(Theirs):
        def __init__(self) -> None:
            super().__init__()
            self.pair = itertools.cycle([np.random.default_rng(0), np.random.default_rng(0)])
            self.first, self.second = next(self.pair), next(self.pair)
            self.turn = False

        def draw(self) -> float:
            self.turn = not self.turn
            return float((self.first if self.turn else self.second).random())

    for sample in drawn(adapted(Two), requests(4)):
        assert sample[1] != sample[2]


def test_a_set_that_cannot_be_copied_is_used_itself() -> None:
    used = adapted(Global)
    used.base.numbers = (n for n in range(3))
    assert used.copied() is used


def test_copies_share_large_arrays() -> None:
    used = adapted(Global)
    used.base.images, used.base.names = [np.zeros(10**6, np.uint8)], ['a']
    copied = used.copied()
    assert copied.base.images[0] is used.base.images[0] and copied.base.images is not used.base.images
