"""Checks that are put off: made with the same values, in their order, before the line of the log."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mg_basicsr.training.deferred_reads import DeferredReads, look_later


def test_outside_of_a_step_a_value_is_looked_at_at_once() -> None:
    found: list[Any] = []
    look_later(found.append, torch.tensor(1.0))
    look_later(found.append, 2.0)
    assert found == [1.0, 2.0]


def test_in_a_step_it_is_looked_at_later() -> None:
    found: list[Any] = []
    extension = DeferredReads()
    value = torch.tensor(1.0, requires_grad=True)

    def step() -> None:
        look_later(lambda value: found.append(f'first {value}'), value)
        look_later(lambda value: found.append(f'second {value}'), torch.tensor(2))
        look_later(lambda value: found.append(f'third {value}'), value * 3)
        look_later(lambda value: found.append(f'number {value}'), 4)
        value.data.zero_()

    extension.around(step)()
    assert found == ['number 4']
    extension.settle()
    assert found[1:] == ['first 1.0', 'second 2', 'third 3.0']
    extension.settle()
    assert len(found) == 4


def test_after_a_step_that_failed_it_is_looked_at_at_once() -> None:
    def step() -> None:
        raise RuntimeError('out of memory')

    with pytest.raises(RuntimeError, match='memory'):
        DeferredReads().around(step)()
    found: list[Any] = []
    look_later(found.append, torch.tensor(1.0))
    assert found == [1.0]
