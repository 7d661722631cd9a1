"""Saving at a signal, for models whose `save` takes more than BasicSR's."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mg_basicsr.host.run import Run, Specification
from mg_basicsr.host.stopping import EXIT_CODE, finish, note_saves


class Saving:
    """A model whose `save` takes more than BasicSR's, and writes a training state."""

    def __init__(self, folder: Path) -> None:
        self.opt = {'path': {'training_states': str(folder)}}
        self.calls: list[Any] = []

    def save(self, current_iter: int, epoch: int, **more: Any) -> None:
        self.calls.append((current_iter, epoch, more['best_metric']))
        Path(self.opt['path']['training_states'], f'{current_iter}.state').touch()


@pytest.mark.parametrize('saved_before', [True, False])
def test_a_signal_saves_as_the_train_loop_does(saved_before: bool, tmp_path: Path, capsys: Any, caplog: Any) -> None:
    model: Any = Saving(tmp_path)
    run = Run(Specification(None, SimpleNamespace(plan=SimpleNamespace(world_size=1))))  # type: ignore[arg-type]
    note_saves(run, model)
    run.clock.iteration = run.clock.trained = 2
    if saved_before:
        model.save(2, epoch=2, best_metric={'psnr': 1.0})
        model.save(-1, epoch=-1, best_metric=None)
    run.clock.iteration = run.clock.trained = 5
    run.stop.received = signal.SIGTERM
    with pytest.raises(SystemExit) as ended:
        finish(run, model)
    assert ended.value.code == EXIT_CODE
    output = caplog.text + capsys.readouterr().out
    assert (model.calls[-1:] == [(5, 2, {'psnr': 1.0})]) == saved_before
    assert ('which is saved' in output) == saved_before
    assert ("KeyError: 'best_metric'" in output) != saved_before


def test_a_save_with_further_arguments_is_announced(caplog: Any, capsys: Any) -> None:
    model: Any = type('Own', (), {'save': lambda self, epoch, current_iter, scaler: None})()
    note_saves(Run(Specification(None, None)), model)  # type: ignore[arg-type]
    output = caplog.text + capsys.readouterr().out
    assert "Own.save(epoch, current_iter, scaler) takes other arguments than BasicSR's" in output
