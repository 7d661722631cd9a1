"""`mg-basicsr plan --compare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mg_basicsr.cli.main import main
from mg_basicsr.cli.plan_comparison import differences

OPTIONS = Path(__file__).parents[3] / 'options'
FILES = [str(OPTIONS / f'train_BasicVSR_REDS_{preset}.yml') for preset in ('lin2022', 'wu2020')]


def plan(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['plan', *arguments])
    return int(ended.value.code or 0)


def test_two_plans_as_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '100')
    assert plan('--compare', *FILES) == 0
    output = capsys.readouterr().out
    for shown in (
        f'B: {FILES[1]}',
        'lin2022    wu2020',
        '300,000',
        '2.18x',
        '50,001: 32x11x128 in 2 passes',
        'multigrid.preset',
    ):
        assert shown in output


def test_two_plans_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan('--compare', FILES[0], FILES[0], '--json', '--world-size', '8') == 0
    found = json.loads(capsys.readouterr().out)
    assert plan('-opt', FILES[0], '--json', '--world-size', '8') == 0
    assert found['plans'] == [json.loads(capsys.readouterr().out)] * 2
    assert found['differing'] == {} and found['files'] == [FILES[0]] * 2


def test_options_that_differ() -> None:
    first = {'a': 1, 'b': {'c': [1], 'd': None}, 'e': {}}
    second = {'a': 1, 'b': {'c': [2]}, 'e': {'f': 0}}
    assert differences(first, second) == {'b.c': [[1], [2]], 'e': [{}, None], 'e.f': [None, 0]}


@pytest.mark.parametrize('others', [('-opt', FILES[0]), ('--yaml',), ('--plot', 'a.png')])
def test_other_forms_are_refused(others: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert plan('--compare', *FILES, *others) == 2
    assert '--compare' in capsys.readouterr().err


def test_one_of_the_two_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan() == 2
    assert '-opt' in capsys.readouterr().err
