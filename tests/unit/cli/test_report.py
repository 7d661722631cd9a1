"""`mg-basicsr report` on experiments, and on what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mg_basicsr.cli.main import main
from tests.helpers.run_logs import recorded


def report(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['report', *map(str, arguments)])
    return int(ended.value.code or 0)


def test_a_page_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(recorded(tmp_path / '[red]a')) == 0
    assert (tmp_path / 'report.html').read_text().startswith('<!DOCTYPE html>')
    output = capsys.readouterr().out
    assert '[red]a' in output and '30.00 dB' in output and 'Written: report.html' in output


def test_only_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(recorded(tmp_path / 'a'), '--csv', 'a.csv', '--png', 'a.png') == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a', 'a.csv', 'a.png']


@pytest.mark.parametrize('kind', ['absent', 'empty', 'log', 'file'])
def test_what_is_no_experiment(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / 'a'
    if kind == 'file':
        folder.write_text('x')
    elif kind != 'absent':
        folder.mkdir()
    if kind == 'log':
        (folder / 'train_a_20260101_000000.log').write_text('nothing yet\n')
    assert report(folder, '-o', tmp_path / 'r.html') == 2
    error = capsys.readouterr().err
    assert str(folder) in error and 'needed' in error and 'Traceback' not in error
    assert not (tmp_path / 'r.html').exists()


@pytest.mark.parametrize(('option', 'name'), [('--png', 'no/a.png'), ('--png', 'a.nothing'), ('--csv', 'file/a.csv')])
def test_paths_that_cannot_be_written(
    tmp_path: Path, option: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'file').write_text('')
    assert report(recorded(tmp_path / 'a'), option, tmp_path / name) == 2
    assert option in capsys.readouterr().err
