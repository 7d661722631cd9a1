"""Loggers of a repository's own, tried on a line at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.host.trial.train_loop import try_loggers
from tests.helpers.stock_options import stock

OPTIONS = {**stock(), 'logger': {'print_freq': 1, 'save_checkpoint_freq': 1, 'use_tb_logger': False}}


class OwnLogger:
    """Logger that takes more from a line than BasicSR's own loop puts into it."""

    def __init__(self, options: dict[str, Any], *_: object) -> None:
        self.needs = options['logger']

    def __call__(self, line: dict[str, Any]) -> None:
        line.pop('epoch')
        assert line.pop('total_iter') and line.pop('absent', None) is None
        assert line['eta'] and self.needs['print_freq']


@pytest.fixture(autouse=True)
def own_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('basicsr.utils.MessageLogger', OwnLogger)


def test_keys_that_its_own_loop_gives_are_not_missing(tmp_path: Path) -> None:
    assert try_loggers(OPTIONS, tmp_path) == []


def test_missing_options_are_reported(tmp_path: Path) -> None:
    options = {**OPTIONS, 'logger': {'use_tb_logger': False, 'save_checkpoint_freq': 1}}
    (problem,) = try_loggers(options, tmp_path)
    assert problem.option == 'logger.print_freq'
