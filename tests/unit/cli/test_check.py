"""`mg-basicsr check -v` lists the patches, and standard output stays one JSON object with --json."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mg_basicsr import patching
from mg_basicsr.cli import check as command
from mg_basicsr.cli.main import main
from mg_basicsr.host import check as host_check


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is to be listed; the check itself is left out."""
    monkeypatch.setattr(host_check, 'check', lambda *args: SimpleNamespace(settings=None))
    monkeypatch.setattr(command, 'described', lambda report: {'hours': 1})
    monkeypatch.setattr(command, 'print_advice', lambda file, settings: None)
    monkeypatch.setattr(command, 'print_table', lambda report, name: print('table'))
    monkeypatch.setattr(patching, '_in_force', [])
    monkeypatch.setattr(patching, '_missing', [])
    module = ModuleType('host')
    patching.replace(module, 'step', 1, 'counts')
    patching.note_missing(module, 'leap', 'it walks')
    return ['host.step: counts', 'host.leap: missing in this repository: it walks']


def check(tmp_path: Path, *arguments: str) -> None:
    (tmp_path / 'x.yml').write_text('multigrid: {}\n')
    with pytest.raises(SystemExit) as ended:
        main(['check', '-opt', str(tmp_path / 'x.yml'), *arguments])
    assert not ended.value.code


@pytest.mark.parametrize('flag', ['-v', '--verbose'])
def test_patches_follow_the_table(listed: list[str], flag: str, tmp_path: Path, capsys: Any) -> None:
    check(tmp_path, flag)
    assert capsys.readouterr().out.splitlines() == ['table', *listed]


def test_json_stays_one_object(listed: list[str], tmp_path: Path, capsys: Any) -> None:
    check(tmp_path, '-v', '--json')
    out, err = capsys.readouterr()
    assert json.loads(out) == {'hours': 1}
    assert err.splitlines()[-2:] == listed


def test_only_if_asked_for(listed: list[str], tmp_path: Path, capsys: Any) -> None:
    check(tmp_path)
    assert capsys.readouterr().out == 'table\n'
