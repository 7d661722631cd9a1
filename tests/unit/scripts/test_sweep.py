"""The sweep over options files of other repositories: what is counted, and what is a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import sweep
from tests.helpers.stock_options import stock

OWN_CLASS = 'class REDSRecurrentDataset(object):\n    pass\n'


def checkout(folder: Path, name: str, options: dict[str, Any], source: str = '') -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / 'train.yml').write_text(yaml.safe_dump(options))
    (folder / name / 'test.yml').write_text(yaml.safe_dump({'datasets': {}, 'name': 'no training'}))
    (folder / name / 'data.py').write_text(source)


def use_flip() -> dict[str, Any]:
    options = stock()
    train_set = options['datasets']['train']
    train_set['use_flip'] = train_set.pop('use_hflip')
    return options


def decided(folder: Path) -> dict[str, tuple[bool, bool]]:
    """Whether plan and run accept the file of each checkout, with lin2022's block."""
    cases = [case for case in sweep.sweep(folder) if case.block == 'lin2022']
    return {case.file.partition('/')[0]: (not case.plan, not case.run) for case in cases}


def test_decisions(tmp_path: Path) -> None:
    checkout(tmp_path, 'plain', stock())
    checkout(tmp_path, 'named', use_flip())
    checkout(tmp_path, 'own', use_flip(), OWN_CLASS)
    assert decided(tmp_path) == {'plain': (True, True), 'named': (False, False), 'own': (False, True)}
    cases = list(sweep.sweep(tmp_path))
    assert sweep.faults(cases) == []
    assert '| files | 3 |' in sweep.table(cases)


def test_a_new_reason_and_an_exception_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout(tmp_path, 'new', {**stock(), 'scale': 'large'})
    assert any('scale: allowed' in fault for fault in sweep.faults(list(sweep.sweep(tmp_path))))
    monkeypatch.setattr(sweep, 'planned', lambda path, preset: 1 / 0)
    assert any('exception: ZeroDivisionError' in fault for fault in sweep.faults(list(sweep.sweep(tmp_path))))
