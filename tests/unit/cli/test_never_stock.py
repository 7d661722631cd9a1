"""A block that is misspelled, at a wrong place, or of a wrong form never trains as stock BasicSR, by any command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.cli.main import main
from mg_basicsr.config.resolve import resolve
from mg_basicsr.config.stray_block import refuse_stray_block
from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import load_options
from tests.helpers.start import written
from tests.helpers.stock_options import stock

NAMES = ['multigrid', 'multigird', 'Multigrid', 'multi_grid', 'multi-grid', 'multigrids', 'multgrid', 'mg_basicsr']
PLACES = ['', 'train', 'train.optim_g', 'datasets', 'datasets.train', 'datasets.train.io_backend', 'network_g', 'path']
PLACES += ['logger', 'val']
FORMS: dict[str, Any] = {
    'block': {'preset': 'lin2022'},
    'null': None,
    'empty': {},
    'empty list': [],
    'empty text': '',
    'name of the preset': 'lin2022',
    'text': 'preset: lin2022',
    'text in braces': '{preset: lin2022}',
    'list': [{'preset': 'lin2022'}],
    'list of names': ['lin2022'],
    'list of texts': ['preset: lin2022'],
    'no preset': {'spatial': [0.5, 1.0], 'temporal': [1.0]},
    'type': {'type': 'lin2022'},
    'twice': {'multigrid': {'preset': 'lin2022'}},
}


def options() -> dict[str, Any]:
    made = {**stock(), 'network_g': {'type': 'BasicVSR', 'num_feat': 64}, 'path': {'pretrain_network_g': None}}
    made |= {'num_gpu': 1}
    return {**made, 'logger': {'print_freq': 100}, 'val': {'val_freq': 5000}}


def placed(name: str, place: str, value: Any) -> dict[str, Any]:
    made = target = options()
    for key in filter(None, place.split('.')):
        target = target[key]
    target[name] = value
    return made


def start(path: Path) -> None:
    """Do what every start does before anything is written."""
    file = load_options(path)
    if file.has_block:
        resolve(file)
    else:
        refuse_stray_block(file.options)


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('form', FORMS)
def test_every_name_is_refused(tmp_path: Path, place: str, form: str) -> None:
    silent = []
    for name in NAMES:
        if (name, place, form) == ('multigrid', '', 'block'):
            continue  # the block
        (tmp_path / 'x.yml').write_text(yaml.safe_dump(placed(name, place, FORMS[form]), sort_keys=False))
        try:
            start(tmp_path / 'x.yml')
            silent.append(name)
        except ConfigError as error:
            assert all(len(str(problem).splitlines()) in (2, 3) for problem in error.problems)
            named = [problem.option for problem in error.problems]
            assert any(option.lower().startswith(place or 'm') or '-opt' in option for option in named)
    assert silent == []


TEXT = yaml.safe_dump(options(), sort_keys=False)
FILES = {
    'misspelled': TEXT + 'multigird: {preset: lin2022}\n',
    'another section': TEXT.replace('train:\n  total', 'train:\n  Multigrid: {preset: lin2022}\n  total'),
    'in a list': TEXT + 'extras:\n- multigrid: {preset: lin2022}\n',
    'twice': TEXT + 'multigrid: {preset: lin2022}\nmultigrid: {preset: wu2020}\n',
    'twice, once misspelled': TEXT + 'multigrid: {preset: lin2022}\nmulti_grid: {preset: wu2020}\n',
    'nothing in it': TEXT + 'multigrid:\n',
    'in a text': TEXT + 'note: |\n  multigrid:\n    preset: lin2022\n',
    'dotted': TEXT + 'multigrid.preset: lin2022\n',
    'without its line': TEXT + 'multigrid_:\npreset: lin2022\n',
}
COMMANDS = {
    'train': ['train', '-opt', 'x.yml'],
    'run': ['run', 'train.py', '-opt', 'x.yml'],
    'plan': ['plan', '-opt', 'x.yml'],
    'check': ['check', '-opt', 'x.yml'],
    'convert': ['convert', '-opt', 'x.yml', '-o', 'y.yml'],
    'prepare': ['prepare', '-opt', 'x.yml', '-o', 'store'],
}


@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.parametrize('name', FILES)
def test_every_command_refuses_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'x.yml').write_text(FILES[name])
    (tmp_path / 'train.py').write_text('raise AssertionError("it trains")\n')
    before = written(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(COMMANDS[command])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert 'Traceback' not in said and ('multi' in said.lower() or 'preset' in said)
    assert written(tmp_path) == before
