"""Datasets whose samples depend on what was read before, and datasets whose samples do not."""

from __future__ import annotations

import itertools
import os
import random
from typing import Any

import numpy as np
import pytest
import torch

from mg_basicsr.config.adapter_rules import AdapterRules
from mg_basicsr.errors import ConfigError
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.repeatable import check_repeatable, value_difference
from mg_basicsr.training import state


class Images:
    """Equal samples, but for what a subclass adds to them."""

    def __init__(self) -> None:
        self.opt = {'gt_size': 8}
        self.names = list('abcdef')
        self.calls = 0

    def __len__(self) -> int:
        return 6

    def extra(self, index: int) -> dict[str, Any]:
        return {}

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {'lq': torch.zeros(1, 3, 4, 4), 'gt': torch.zeros(1, 3, 8, 8), **self.extra(index)}


class Counts(Images):
    def extra(self, index: int) -> dict[str, Any]:
        self.calls += 1
        return {'weight': float(self.calls)}


class EverySecond(Images):
    def extra(self, index: int) -> dict[str, Any]:
        self.calls += 1
        return {'meta': {'flow': torch.full((2,), self.calls % 2)}}


class Reverses(Images):
    """As BasicSR's Vimeo90KRecurrentDataset does with its list of neighbours."""

    def extra(self, index: int) -> dict[str, Any]:
        if random.random() < 0.5:
            self.names.reverse()
        return {'order': list(self.names)}


class Shuffles(Images):
    def extra(self, index: int) -> dict[str, Any]:
        random.shuffle(self.names)
        return {'key': self.names[index]}


class Iterates(Images):
    def __init__(self) -> None:
        super().__init__()
        self.turns = itertools.cycle([1, 2, 3])

    def extra(self, index: int) -> dict[str, Any]:
        return {'turn': next(self.turns)}


class Generates(Iterates):
    """What it keeps cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = (n for n in range(100))  # type: ignore[assignment]


class LastIndex(Images):
    """A sample says which one was read before: the same twice in a row."""

    last = 0

    def extra(self, index: int) -> dict[str, Any]:
        before, self.last = self.last, index
        return {'before': np.array(before)}


class Grows(Images):
    """The shape follows from what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.bank: list[int] = []

    def extra(self, index: int) -> dict[str, Any]:
        self.bank.append(index)
        return {'bank': torch.zeros(len(self.bank))}


class SometimesMore(Images):
    def extra(self, index: int) -> dict[str, Any]:
        self.calls += 1
        return {'mask': 1} if self.calls > 1 else {}


class FromTheSystem(Images):
    """A source of random numbers that cannot be seeded."""

    def extra(self, index: int) -> dict[str, Any]:
        return {'noise': os.urandom(8)}


class OwnBuffer(Images):
    """Delivers the same array every time."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros(4, np.float32)

    def extra(self, index: int) -> dict[str, Any]:
        self.buffer += 1
        return {'buffer': self.buffer}


REFUSED = {
    Counts: 'other values in weight', EverySecond: r'other values in meta\.flow', Reverses: r'other values in order\.0',
    Shuffles: 'other values in key', Iterates: 'other values in turn', Generates: 'other values in turn',
    LastIndex: 'other values in before', Grows: 'the shape .* in bank', SometimesMore: 'the keys .*mask',
    FromTheSystem: 'other values in noise', OwnBuffer: 'other values in buffer',
}  # fmt: skip


class Caches(Images):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[int, float] = {}

    def extra(self, index: int) -> dict[str, Any]:
        self.calls += 1  # of which no sample tells
        return {
            'value': self.cache.setdefault(index, index * 0.5),
            'nan': float('nan'),
            'nans': torch.full((2,), np.nan),
        }


class Draws(Images):
    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng()

    def extra(self, index: int) -> dict[str, Any]:
        return {'noise': self.rng.random(3), 'other': torch.rand(2), 'flip': random.random() < 0.5}


class Fails(Images):
    """Its samples cannot be read, which is reported when the run does."""

    def extra(self, index: int) -> dict[str, Any]:
        raise OSError('no such file')


def checked(kind: type[Images], repeatable: bool = True) -> None:
    rules = AdapterRules(time=(), space=(), repeatable=repeatable)
    check_repeatable(AdaptedDataset(kind(), 2, rules), 1, 8)


@pytest.mark.parametrize('kind', REFUSED)
def test_what_depends_on_the_past_is_refused_by_key(kind: type[Images]) -> None:
    with pytest.raises(ConfigError, match=REFUSED[kind]) as raised:
        checked(kind)
    (problem,) = raised.value.problems
    assert problem.option == 'datasets.train.type' and kind.__name__ in problem.what
    assert 'repeatable: false' in problem.remedy


@pytest.mark.parametrize('kind', [Images, Caches, Draws, Fails])
def test_what_does_not_is_taken(kind: type[Images]) -> None:
    checked(kind)


def test_the_dataset_itself_is_not_read() -> None:
    dataset = AdaptedDataset(Counts(), 2, AdapterRules(repeatable=False))
    check_repeatable(dataset, 1, 8)
    assert dataset.base.calls == 0


def test_the_user_may_take_it_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    checked(Counts, repeatable=False)
    assert 'other values in weight' in caplog.text


class Counted(Images):
    """Counts how often it is visited by a copy, and its samples."""

    visits = reads = 0

    def __getstate__(self) -> dict[str, Any]:
        Counted.visits += 1
        return vars(self)

    def extra(self, index: int) -> dict[str, Any]:
        Counted.reads += 1
        return {}


def test_the_work_is_the_same_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counted, 'visits', 0)
    monkeypatch.setattr(Counted, 'reads', 0)
    checked(Counted)
    assert (Counted.visits, Counted.reads) == (1, 9)


class Many(Draws):
    def __init__(self) -> None:
        super().__init__()
        self.samples = [{'lq': str(n), 'gt': str(n)} for n in range(30_000)]


def test_a_generator_beside_many_samples_is_found(caplog: pytest.LogCaptureFixture) -> None:
    checked(Many)
    assert not caplog.text


def test_what_is_too_large_to_be_searched_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(state, 'MOST_OBJECTS', 100)
    checked(Many, repeatable=False)
    assert 'Many holds more than 1,000,000 objects: generators of random numbers among' in caplog.text


@pytest.mark.parametrize(
    ('found', 'expected', 'told'),
    [
        ([1, 2], [1], 'has 2 entries in the sample, not 1'),
        ((1,), [1], 'as a tuple, not as a list'),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int64), 'has torch.float32'),
        ({'a': 1, 'b': 2}, {'b': 2, 'a': 1}, 'the keys a, b'),
        (object(), object(), None),
        (np.float32(1), np.float32(1), None),
    ],
)
def test_differences(found: Any, expected: Any, told: str | None) -> None:
    where = value_difference(found, expected)
    assert where is None if told is None else told in str(where)
