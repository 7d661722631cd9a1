"""Losses that are read later: the same numbers, whatever a repository does with them, and not before it does."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mg_basicsr.training.deferred_reads import DeferredReads
from mg_basicsr.training.extension import extend
from mg_basicsr.training.loss_log import LossLog, Unread, deferred
from mg_basicsr.training.micro_batches import MicroBatches
from tests.helpers.small_model import SmallModel, plan, train
from tests.helpers.waits import Waits

LOSSES = {'l_pix': torch.tensor([1.0, 2.0]) / 3, 'l_percep': torch.tensor(0.1), 'count': torch.tensor(3)}


def basicsr(losses: dict[str, torch.Tensor]) -> dict[str, Any]:
    return OrderedDict((name, value.float().mean().item()) for name, value in losses.items())


def in_place(losses: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: value.item() for name, value in losses.items() if value.numel() == 1}


def computing(losses: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What other repositories do to a loss before they log it."""
    log: dict[str, Any] = {}
    for name, loss in losses.items():
        value = loss.sum().item()
        log |= {
            name: value, f'{name} doubled': 2 * value, f'{name} of both': value + value, f'{name} half': value / 2,
            f'{name} text': f'{value:.3f} {value}', f'{name} float': float(value), f'{name} rounded': round(value, 2),
            f'{name} large': value > 1, f'{name} one': value == 1.0, f'{name} most': max(value, 2.0),
            f'{name} psnr': -10 * math.log10(value + 1e-8), f'{name} sum': sum([value, value]),
            f'{name} if': bool(value),
            f'{name} parts': [-value, abs(value), value**2, value % 2, value // 2, 1 - value, 1 / value],
        }  # fmt: skip
    return log


@pytest.mark.parametrize('reduce', [basicsr, in_place, computing])
def test_the_numbers_are_those_of_the_function(reduce: Callable[..., Any]) -> None:
    log = deferred(reduce)(LOSSES)
    wanted = reduce(LOSSES)
    assert dict(log) == dict(wanted)
    assert {name: type(value) for name, value in log.items()} == {name: type(value) for name, value in wanted.items()}


USES: dict[str, Callable[[Any], Any]] = {
    'dict': dict, 'OrderedDict': OrderedDict, 'unpacked': lambda log: {**log}, 'update': lambda log: updated(log),
    'or': lambda log: {} | log, 'items': lambda log: dict(log.items()), 'keys': lambda log: {k: log[k] for k in log},
    'values': lambda log: dict(zip(log.keys(), log.values(), strict=True)), 'copy': lambda log: log.copy(),
    'copied': copy.copy, 'deep': copy.deepcopy, 'pickled': lambda log: pickle.loads(pickle.dumps(log)),
    'json': lambda log: json.loads(json.dumps(log)), 'get': lambda log: {name: log.get(name) for name in log},
    'pop': lambda log: {name: log.pop(name) for name in [*log]},
    'equal': lambda log: log if log == basicsr(LOSSES) else {},
    'reversed': lambda log: {name: log[name] for name in reversed(log)},
    'set': lambda log: log.__setitem__('x', 1) or {name: log[name] for name in log if name != 'x'},
}  # fmt: skip


def updated(log: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    values.update(log)
    return values


@pytest.mark.parametrize('use', USES)
def test_every_use_of_the_dictionary_reads(use: str) -> None:
    found = USES[use](deferred(basicsr)(LOSSES))
    assert dict(found) == basicsr(LOSSES) and all(type(value) is float for value in dict.values(found))
    log = deferred(basicsr)(LOSSES)
    assert (len(log), 'l_pix' in log, bool(log), repr(log)) == (3, True, True, repr(LossLog(basicsr(LOSSES))))


def test_nothing_is_read_before_and_values_are_those_of_the_step() -> None:
    loss = torch.tensor(0.5, requires_grad=True)
    with Waits() as waits:
        log = deferred(in_place)({'l_pix': loss, 'other': loss * 2})
        loss.data.zero_()
        log.update(third=3)
        assert isinstance(log, LossLog) and log.names() == ['l_pix', 'other', 'third']
    assert waits.found == {}
    assert dict(log) == {'l_pix': 0.5, 'other': 1.0, 'third': 3}


def test_what_is_no_dictionary_is_returned() -> None:
    assert deferred(lambda losses: None)({}) is None
    assert deferred(lambda loss: loss.item())(torch.tensor(0.5)) + 1 == 1.5


def test_a_number_is_read_once() -> None:
    numbers = iter([1.0, 2.0])
    unread = Unread(lambda: next(numbers))
    assert unread + unread == 2 and unread.read() == 1


class Reducing(SmallModel):
    """Logs its loss as BasicSR's models do."""

    def reduce_loss_dict(self, losses: dict[str, torch.Tensor]) -> Any:
        return basicsr(losses)

    def optimize_parameters(self, current_iter: int) -> None:
        self.optimizers[0].zero_grad()
        loss = self.cri_pix(self.net_g(self.lq), self.gt)
        loss.backward()
        self.optimizers[0].step()
        self.log_dict = self.reduce_loss_dict({'l_pix': loss})


@pytest.mark.parametrize('passes', [False, True])
def test_a_model(passes: bool) -> None:
    """One pass, or several, whose logs are joined later."""
    logs = []
    for names in ([MicroBatches], [MicroBatches, DeferredReads]):
        model, extensions = Reducing(), [make() for make in names]
        extend(model, extensions)  # type: ignore[arg-type]
        with Waits() as waits:
            train(model, extensions, 0, plan().total_iter, passes)
        assert (waits.found == {}) == (DeferredReads in names)
        logs.append(dict(model.log_dict))
    assert logs[0] == logs[1]
