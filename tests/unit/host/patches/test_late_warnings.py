"""Comparisons that only decide about a warning are put off, whoever wrote them; all others are made as before."""

from __future__ import annotations

import functools
import inspect
import logging
from typing import Any

import pytest
import torch
from torch import nn

from mg_basicsr import patching
from mg_basicsr.host.patches.late_warnings import warn_later
from mg_basicsr.training.deferred_reads import DeferredReads
from tests.helpers.waits import Waits

LIMIT = 5
logger = logging.getLogger('network')


def get_root_logger() -> logging.Logger:
    return logging.getLogger('network')


class Named(nn.Module):
    """As BasicSR's DCNv2Pack."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        offset_absmean = torch.mean(torch.abs(x))
        if offset_absmean > 5:
            logger = get_root_logger()
            logger.warning(f'Offset abs mean is {offset_absmean}, larger than 5.')

        return x * 2


class Formatted(nn.Module):
    def forward(self, x: torch.Tensor, scale: float = 2) -> torch.Tensor:
        offset_mean = torch.mean(torch.abs(x))
        if offset_mean >= 5:
            logger.warning('Offset mean is {}, larger than 5.'.format(offset_mean))  # noqa: UP032
        return x * scale


class Printed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in x:
            mean = part.abs().mean()
            if mean > 5:
                print(f'mean {mean:.2f}', end='')
        return x * 2


class Inherited(Named):
    pass


class Limited(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean()
        if mean > 5:
            logger.warning('limited')
            x = x / mean
        return x * 2


class Otherwise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean()
        if mean > 5:
            logger.warning('large')
        else:
            x = x + 1
        return x * 2


class Used(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        mean, log = x.mean(), None
        if mean > 5:
            log = get_root_logger()
            log.warning('large')
        return x * 2 if log is None else x


class Raised(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean()
        if mean > 5:
            raise ValueError('large')
        return x * 2


class Defaults(nn.Module):
    SCALE = 2

    def forward(self, x: torch.Tensor, scale: int = SCALE, *, more: int = SCALE, less: Any = None) -> torch.Tensor:
        mean = x.mean()
        if mean > 5:
            logger.warning('large')
        return x * scale * more


class Private(nn.Module):
    __scale = 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean()
        if mean > 5:
            logger.warning('large')
        return x * self.__scale


class Above(Defaults):
    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        mean = x.mean()
        if mean > 50:
            logger.warning('large')
        return super().forward(x)


class Wrapped(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean()
        if mean > 5:
            logger.warning('large')
        return x * 2


_bare = Wrapped.forward
Wrapped.forward = functools.wraps(_bare)(lambda self, x: _bare(self, x) + 1)  # type: ignore[method-assign]


def results(model: nn.Module, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> list[Any]:
    """What it returns for small and for large values, and what it says."""
    found: list[Any] = []
    caplog.clear()
    for value in (1.0, 6.0, 7.25):
        try:
            found.append(model(torch.full((2, 3), value)).tolist())
        except ValueError as error:
            found.append(str(error))
    return [*found, caplog.messages[:], capsys.readouterr().out]


LATE = [Named, Formatted, Printed, Inherited, Defaults]


@pytest.mark.parametrize('kind', [*LATE, Limited, Otherwise, Used, Raised, Private, Wrapped])
def test_it_returns_and_logs_the_same(
    kind: type[nn.Module], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    model = kind()
    wanted = results(model, capsys, caplog)
    before, signature = len(patching.in_force()), inspect.signature(kind.forward)
    try:
        warn_later(kind)
        late = kind in LATE
        assert len(patching.in_force()) == before + late
        assert inspect.signature(kind.forward) == signature and kind.forward.__name__ == 'forward'
        assert results(model, capsys, caplog) == wanted
        extension = DeferredReads()
        found: list[Any] = []
        with Waits() as waits:
            extension.around(lambda: found.extend(results(model, capsys, caplog)))()
        assert (waits.found == {}) == late and found[:3] == wanted[:3]
        if late:
            assert found[3:] == [[], ''] != wanted[3:]
            extension.settle()
            assert [caplog.messages, capsys.readouterr().out] == wanted[3:]
        warn_later(kind)
        assert len(patching.in_force()) == before + late
    finally:
        patching.undo(before)


def test_a_class_that_calls_the_one_above() -> None:
    before = len(patching.in_force())
    x = torch.full((2,), 6.0)
    wanted = Above()(x)
    warn_later(Above)
    try:
        assert [patch.place for patch in patching.in_force()[before:]] == [f'{__name__}.Defaults.forward']
        assert torch.equal(Above()(x), wanted)
    finally:
        patching.undo(before)


def test_code_that_is_not_there_to_be_read() -> None:
    scope: dict[str, Any] = {'nn': nn, 'logger': logger}
    exec('class Made(nn.Module):\n def forward(self, x):\n  m = x.mean()\n  if m > 5: logger.warning("m")\n', scope)
    before = len(patching.in_force())
    warn_later(scope['Made'])
    warn_later(nn.Module)
    assert len(patching.in_force()) == before
