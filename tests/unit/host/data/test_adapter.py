"""Samples of an adapted dataset follow from the request, whatever generators the dataset holds."""

from __future__ import annotations

import copy
import pickle
import random
import weakref

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mg_basicsr.config.adapter_rules import AdapterRules
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.host.data.adapter import AdaptedDataset
from tests.helpers.random_sets import KINDS, TRANSFORMS, Compose, Global, Nested, Theirs, Two


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
    for copied in (copy.deepcopy(used), pickle.loads(pickle.dumps(used)), used.copies()()):
        assert drawn(copied, requests()) == whole


def test_states_are_put_back() -> None:
    used = adapted(Nested)
    generator, state = used.base.parts['tuple']
    before = generator.get_state(), state.get_state()[1].tolist(), random.getstate()
    drawn(used, requests(3))
    assert torch.equal(generator.get_state(), before[0])
    assert (state.get_state()[1].tolist(), random.getstate()) == before[1:]


def test_the_draws_of_two_generators_differ() -> None:
    for sample in drawn(adapted(Two), requests(4)):
        assert sample[1] != sample[2]


def test_a_set_that_cannot_be_copied_is_used_itself() -> None:
    used = adapted(Global)
    used.base.numbers = (n for n in range(3))
    assert used.copies()() is used


def test_copies_share_large_arrays() -> None:
    used = adapted(Global)
    used.base.images, used.base.names = [np.zeros(10**6, np.uint8)], ['a']
    copied = used.copies()()
    assert copied.base.images[0] is used.base.images[0] and copied.base.images is not used.base.images


def test_copies_share_functions_classes_and_what_only_refers() -> None:
    class Local:
        pass

    used = adapted(Global)
    used.base.parts = [lambda: used, Local, local := Local(), weakref.ref(local), used.base.opt]
    first, second = (make().base for make in [used.copies()] * 2)
    assert first.parts[:2] == second.parts[:2] == used.base.parts[:2]
    assert len({id(parts[2]) for parts in (used.base.parts, first.parts, second.parts)}) == 3
    assert first.parts[4] is first.opt is not used.base.opt


def test_copies_are_of_the_time_when_they_were_asked_for() -> None:
    used = adapted(Global)
    used.base.names = ['a']
    make = used.copies()
    used.base.names.append('b')
    assert make().base.names == ['a']
