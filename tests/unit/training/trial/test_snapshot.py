"""What a snapshot puts back: everything that training code is known to keep, to the bit."""

from __future__ import annotations

import argparse
import array
import copy
import io
import itertools
import logging
import queue
import random
import threading
from collections import OrderedDict, UserList, deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from mg_basicsr.training.trial.snapshot import Snapshot, on_trial


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.tied = self.conv.weight
        self.norm = nn.BatchNorm2d(3)
        self.is_mirror_extended = False
        self.hidden = torch.zeros(3)
        self.history: list[Any] = [torch.zeros(2)]
        self.numbers = np.zeros(3)
        self.own = random.Random(1)
        self.drawn = np.random.default_rng(1)
        self.noise = torch.Generator().manual_seed(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.is_mirror_extended = True
        self.hidden += 1
        self.history[0] += 1
        self.history.append('more')
        self.numbers += 1
        self.own.random(), self.drawn.random(), torch.rand(1, generator=self.noise)
        self.late = x
        y: torch.Tensor = self.norm(self.conv(x + torch.rand_like(x) * random.random() * np.random.rand()))
        return y


class Model:
    """As BasicSR's are made."""

    def __init__(self, used_before: bool) -> None:
        self.opt = {'dist': False, 'train': {'fix_flow': 3}}
        self.net_g = Net()
        self.net_g_ema = copy.deepcopy(self.net_g.conv)
        self.optimizer_g = torch.optim.Adam(self.net_g.parameters(), 0.1)
        self.optimizers = [self.optimizer_g]
        self.schedulers = [torch.optim.lr_scheduler.StepLR(self.optimizer_g, 1)]
        self.log_dict: OrderedDict[str, float] = OrderedDict()
        self.recent: deque[int] = deque([1, 2], maxlen=2)
        self.names = {'a'}
        self.plain = SimpleNamespace(count=0)
        self.feed = self.plain_method
        if used_before:
            self.step()

    def plain_method(self) -> None:
        """A bound method, kept on the instance."""

    def step(self) -> None:
        self.optimizer_g.zero_grad()
        self.output = self.net_g(torch.rand(2, 3, 8, 8))
        self.output.square().mean().backward()
        self.optimizer_g.step()
        with torch.no_grad():
            self.net_g_ema.weight.lerp_(self.net_g.conv.weight, 0.5)
        self.log_dict['l_pix'] = 1.0
        self.recent.append(3)
        self.names.add('b')
        self.plain.count += 1
        self.opt['train']['fix_flow'] = 0
        self.net_g.norm.requires_grad_(False)
        self.net_g.eval()


def contents(model: Model) -> Any:
    """All that the model consists of, as values."""
    net = model.net_g
    return copy.deepcopy(
        [
            net.state_dict(), model.net_g_ema.state_dict(), model.optimizer_g.state_dict(), net.training,
            [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in net.parameters()],
            net.is_mirror_extended, net.hidden, net.history, net.numbers.tolist(), net.own.getstate(),
            net.drawn.bit_generator.state, net.noise.get_state(), sorted(vars(net)), sorted(vars(model)),
            model.log_dict, model.recent, model.names, model.plain.count, model.opt,
            random.getstate(), str(np.random.get_state()), torch.get_rng_state(),
        ]
    )  # fmt: skip


def same(first: Any, second: Any) -> bool:
    if torch.is_tensor(first):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def test_everything_is_put_back() -> None:
    for used_before in (False, True):
        model = Model(used_before)
        before = contents(model)
        parameters = list(model.net_g.parameters())
        with on_trial(model):
            model.step()
            model.step()
            assert not same(contents(model), before)
        assert same(contents(model), before)
        assert all(a is b for a, b in zip(parameters, model.net_g.parameters(), strict=True))
        assert model.net_g.tied is model.net_g.conv.weight


def test_weights_stay_as_they_are_during_a_trial() -> None:
    model = Model(False)
    before = model.net_g.conv.weight.clone()
    with on_trial(model):
        model.step()
        assert torch.equal(model.net_g.conv.weight, before)


def test_arguments_are_put_back_too() -> None:
    scaler: list[int] = []
    with on_trial(Model(False), scaler):
        scaler.append(1)
    assert scaler == []


def test_views_expanded_and_replaced_tensors() -> None:
    base = torch.arange(6.0)
    kept = {'view': base[2:4], 'wide': base[:1].expand(4), 'other': torch.ones(2), 'empty': torch.empty(0)}
    other = kept['other']
    snapshot = Snapshot(kept)
    base.zero_()
    other.data = torch.zeros(3)
    kept['view'] = torch.zeros(1)
    snapshot.restore()
    assert base.tolist() == [0, 1, 2, 3, 4, 5]
    assert kept['view'].data_ptr() == base[2:].data_ptr()
    assert kept['other'] is other and other.tolist() == [1, 1]


def test_cycles_and_bound_methods_are_followed_once() -> None:
    model = Model(False)
    loop: list[Any] = [model.plain_method]
    loop.append(loop)
    snapshot = Snapshot(loop)
    model.plain.count = 7
    loop.clear()
    snapshot.restore()
    assert model.plain.count == 0 and loop[1] is loop


def test_keys_that_are_tensors_are_put_back() -> None:
    """The state of an optimiser that has stepped before, as after a resume, whose parameters have been replaced."""
    first, second = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    state: dict[Any, Any] = {first: {'step': 5}, second: {'step': 6}}
    snapshot = Snapshot(state)
    twins = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    values = list(state.values())
    state.clear()
    state.update(zip(twins, values, strict=True))
    values[0]['step'] = 7
    snapshot.restore()
    assert [id(key) for key in state] == [id(first), id(second)] and state[first] == {'step': 5}


class Slotted:
    __slots__ = ('count', 'late', 'turns')

    def __init__(self) -> None:
        self.count, self.turns = 0, itertools.cycle('ab')


class Counting(nn.Module):
    """Keeps state in the ways that a dictionary of attributes does not show."""

    calls = 0
    seen: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slotted()
        self.ids = itertools.count(5)
        self.turns = itertools.cycle([1, 2, 3])
        self.entries = iter([7, 8, 9])
        self.pairs = zip(iter('abc'), itertools.count(), strict=False)
        self.bytes, self.array = bytearray(2), array.array('i', [0])
        closed = 0

        def inner() -> int:
            nonlocal closed
            closed += 1
            inner.calls = closed  # type: ignore[attr-defined]
            return closed

        self.inner = inner

    def values(self) -> list[Any]:
        """What a use of it gives, and changes."""
        type(self).calls += 1
        self.seen.append(1)
        self.slots.count += 1
        is_late = hasattr(self.slots, 'late')
        self.slots.late = True
        self.bytes[0] += 1
        self.bytes.append(1)
        self.array[0] += 1
        return [
            type(self).calls, list(self.seen), self.slots.count, is_late, next(self.slots.turns), next(self.ids),
            next(self.turns), next(self.entries, None), next(self.pairs, None), bytes(self.bytes), list(self.array),
            vars(self.inner).get('calls'), self.inner(),
        ]  # fmt: skip


@pytest.mark.parametrize('used', [0, 1, 3])
def test_counters_of_every_kind_are_put_back(used: int) -> None:
    kept, twin = Counting(), Counting()

    def use(net: Counting, times: int) -> list[Any]:
        Counting.calls = 0  # those of the class are shared
        Counting.seen.clear()
        return [net.values() for _ in range(times)]

    expected = use(twin, used + 4)[used:]
    use(kept, used)
    snapshot = Snapshot(kept)
    for _ in range(2):  # more than once
        for _ in range(5):
            kept.values()
        snapshot.restore()
    assert [kept.values() for _ in range(4)] == expected
    assert not snapshot.lost


CALLS, HISTORY, MODULE_RNG = 0, [0], random.Random(3)


class OfItsModule:
    """Keeps what it counts in variables of the module."""

    def use(self) -> list[Any]:
        global CALLS
        CALLS += 1
        HISTORY.append(CALLS)
        return [CALLS, list(HISTORY), MODULE_RNG.random()]


def test_variables_of_the_module_are_put_back() -> None:
    counting = OfItsModule()
    snapshot = Snapshot({'loss': counting})
    first = counting.use()
    snapshot.restore()
    assert counting.use() == first
    snapshot.restore()


class Held:
    """State in objects of the standard library."""

    def __init__(self, path: Path) -> None:
        self.queue: queue.Queue[int] = queue.Queue()
        self.users, self.options = UserList([1]), argparse.Namespace(step=0)
        self.text, self.bytes = io.StringIO(), io.BytesIO(b'abc')
        self.uniform, self.system = np.random.default_rng(4).uniform, random.SystemRandom()
        self.log, self.table = path.open('w'), path.with_suffix('.csv').open('ab')

    def use(self) -> list[Any]:
        self.queue.put(1)
        self.users.append(2)
        self.options.step += 1
        self.text.write('x')
        self.bytes.write(b'12345')
        self.log.write('step\n')
        self.table.write(b'1,2\n')
        self.table.flush()
        values = [self.queue.qsize(), list(self.users), self.options.step, self.text.getvalue(), self.bytes.getvalue()]
        return [*values, self.uniform()]


def test_objects_of_the_standard_library_are_put_back(tmp_path: Path) -> None:
    held = Held(tmp_path / 'loss.log')
    held.log.write('before\n')
    snapshot = Snapshot(held)
    first = held.use()
    for _ in range(2):
        held.use()
        snapshot.restore()
    assert held.use() == first and not snapshot.lost
    held.log.close()
    held.table.close()
    assert (tmp_path / 'loss.log').read_text() == 'before\nstep\n'
    assert (tmp_path / 'loss.csv').read_text() == '1,2\n'


def test_files_that_a_step_writes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mg_basicsr.training.trial.silence.tempfile.gettempdir', lambda: '/nowhere')
    with on_trial(Model(False)) as trial:
        with open(tmp_path / 'losses.csv', 'a') as file:
            file.write('1')
        with open(tmp_path / 'losses.csv') as file:
            file.read()
    assert trial.lost == {f'file {tmp_path / "losses.csv"}'}


def test_what_cannot_be_put_back_is_named() -> None:
    numbers, idle = (n for n in range(9)), (n for n in range(9))
    next(idle)
    snapshot = Snapshot({'used': numbers, 'not used': idle})
    snapshot.restore()
    assert not snapshot.lost
    next(numbers)
    snapshot.restore()
    assert snapshot.lost == {'generator'}


class Consumer(threading.Thread):
    def __init__(self, queue: queue.Queue[int], ready: threading.Event) -> None:
        super().__init__(daemon=True)
        self.queue, self.ready = queue, ready

    def run(self) -> None:
        take(self.queue, self.ready)


def take(items: queue.Queue[int], ready: threading.Event) -> None:
    ready.wait()
    items.get()
    items.task_done()


@pytest.mark.parametrize(
    'make',
    [Consumer, lambda *of: threading.Thread(target=take, args=of, daemon=True)],
    ids=['attribute', 'argument'],
)
def test_a_queue_is_left_to_the_thread_that_empties_it(make: Callable[..., threading.Thread]) -> None:
    model, ready = Model(False), threading.Event()
    model.events = queue.Queue()  # type: ignore[attr-defined]
    model.events.put(1)  # type: ignore[attr-defined]
    thread = make(model.events, ready)  # type: ignore[attr-defined]
    thread.start()
    with on_trial(model):
        ready.set()
        thread.join()
    assert (model.events.qsize(), model.events.unfinished_tasks) == (0, 0)  # type: ignore[attr-defined]


def test_nothing_is_logged_on_trial(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip('torch.utils.tensorboard')
    caplog.set_level('INFO')
    model = Model(False)
    model.writer = tensorboard.SummaryWriter(str(tmp_path))  # type: ignore[attr-defined]

    def log(text: str) -> None:
        logging.getLogger('basicsr').warning(text)
        model.writer.add_scalar(text, 1.0, 1)  # type: ignore[attr-defined]

    log('before')
    with on_trial(model):
        log('never was')
    log('after')
    model.writer.close()  # type: ignore[attr-defined]
    written = b''.join(path.read_bytes() for path in tmp_path.iterdir())
    said = [record.message for record in caplog.records if not record.message.startswith('multigrid: ')]
    assert said == ['before', 'after']  # lines of an earlier start come with the first one of the logger
    assert b'before' in written and b'after' in written and b'never was' not in written
