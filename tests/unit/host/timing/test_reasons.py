"""Errors of the host as one line: why something was not timed."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from mg_basicsr.errors import DataError, Problem
from mg_basicsr.host.timing.reasons import NotTimed, reason_of, reasons


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (ValueError('no\n such  clip'), 'ValueError: no such clip'),
        (AssertionError(), 'AssertionError'),
        (KeyError('gt_size'), "KeyError: 'gt_size'"),
        (DataError(Problem('a.b', 'missing', 'needed: c', 'd')), 'missing'),
        (RuntimeError('x' * 1000), 'RuntimeError: ' + 'x' * 186),
    ],
)
def test_reason(error: Exception, text: str) -> None:
    assert reason_of(error) == text
    with pytest.raises(NotTimed) as caught, reasons('its data set'):
        raise error
    assert str(caught.value) == f'BasicSR cannot use its data set: {text}'


class Fails(torch.utils.data.Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise ValueError('clip 7\nis damaged')


def test_the_traceback_of_a_worker_is_left_out() -> None:
    with pytest.raises(ValueError, match='Traceback') as caught:
        next(iter(DataLoader(Fails(), num_workers=1)))
    assert reason_of(caught.value).startswith('ValueError: clip 7') and '/' not in reason_of(caught.value)


def test_what_was_not_timed_inside_keeps_its_reason() -> None:
    with pytest.raises(NotTimed, match=r'^too few$'), reasons('its data set'):
        raise NotTimed('too few')


@pytest.mark.parametrize('error', [KeyboardInterrupt, GeneratorExit])
def test_an_interrupt_is_no_reason(error: type[BaseException]) -> None:
    with pytest.raises(error), reasons('its data set'):
        raise error
