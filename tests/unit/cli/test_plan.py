"""`mg-basicsr plan` as it is called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.cli.main import main
from tests.helpers.stock_options import PAPER, REMOVED, described, stock


def write(folder: Path, options: dict[str, Any], name: str = 'options.yml') -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(options, sort_keys=False))
    return path


def plan(*arguments: object) -> None:
    """Calls the command in this process; it has to end with exit code 0."""
    with pytest.raises(SystemExit) as ended:
        main(['plan', *map(str, arguments)])
    assert not ended.value.code


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Calls the command, which has to end with exit code 2; the lines of the error, and nothing else, are printed."""
    with pytest.raises(SystemExit) as ended:
        main(['plan', *map(str, arguments)])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ''
    assert 'Traceback' not in printed.err
    return printed.err.strip().splitlines()


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = stock(block=PAPER)
    plan('-opt', write(tmp_path, options), '--json', '--world-size', 2)
    printed = json.loads(capsys.readouterr().out)
    assert printed == described(options, world_size=2)
    assert list(printed) == ['total_iter', 'world_size', 'stages', 'samples', 'cost', 'ideal_speedup']
    assert list(printed['stages'][0]) == [
        'index', 'start', 'iters', 'clips', 'clips_per_rank', 'accumulate', 'frames', 'gt_size', 'lq_size', 'lr_factor',
        'lr', 'samples', 'short_cycle',
    ]  # fmt: skip


def test_ranks_default_to_num_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan('-opt', write(tmp_path, stock(block=PAPER)), '--json')
    assert json.loads(capsys.readouterr().out)['world_size'] == 4


def test_what_yaml_prints_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan('-opt', write(tmp_path, stock(block=PAPER)), '--json')
    before = capsys.readouterr().out
    plan('-opt', tmp_path / 'options.yml', '--yaml')
    pasted = write(tmp_path, stock(), 'pasted.yml')
    pasted.write_text(pasted.read_text() + capsys.readouterr().out)
    plan('-opt', pasted, '--json')
    assert capsys.readouterr().out == before


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    path = write(tmp_path / '[bold]', stock(block=PAPER))  # a name that is not markup
    plan('-opt', path)
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title == f'{path}: preset lin2022, 4 ranks'
    assert head.split() == ['from', 'to', 'clips', 'passes', 'frames', 'GT', 'LQ', 'lr', 'to', 'lr', 'work']
    assert rows[0].split() == ['1', '1', '12,500', '64', '1', '7', '128', '32', '1.6e-07', '7.5e-04', '0.47']
    assert rows[5].split() == ['6', '62,501', '75,000', '64', '4', '15', '256', '64', '8.0e-04', '1.0e-07', '4.00']
    rest = ' '.join(' '.join(rows[6:]).split())
    assert '75,000 iterations instead of 300,000; 4,800,000 clips; warm-up over 5,000 iterations.' in rest
    assert '0.458' in rest and '2.18x' in rest
    assert all(len(row) <= 80 for row in [head, *rows])


def test_the_table_of_a_short_cycle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each shape, in turn; iterations and rates in the stage's first row."""
    plan('-opt', write(tmp_path, stock(block={'preset': 'wu2020'})))
    _, _, *rows = capsys.readouterr().out.splitlines()
    stage = [row.split() for row in rows[6:9]]
    assert stage[0] == ['3', '20,508', '30,761', '128', '2', '8', '128', '32', '4.0e-04', '4.0e-04', '1.07']
    assert stage[1] == ['64', '2', '8', '176', '44', '1.01']
    assert stage[2] == ['32', '2', '8', '256', '64', '1.07']
    assert 'a short cycle, one shape per iteration, in turn' in ' '.join(rows[39:])


@pytest.mark.parametrize(
    'block',
    [
        {'preset': 'wu2020'},
        {'preset': 'wu2020', 'batch_size': 64, 'base_batch_size': 16, 'finetune': False},
        {'preset': 'progressive', 'gt_sizes': [64, 256], 'mini_batch_sizes': [99, 3], 'iters': [7, 2]},
        {'preset': 'lin2022', 'batch_growth': 'inverse', 'lr_schedule': 'host'},
    ],
)
def test_every_preset_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str], block: dict[str, Any]) -> None:
    plan('-opt', write(tmp_path, stock(block=block)), '--json')
    before = capsys.readouterr().out
    plan('-opt', tmp_path / 'options.yml', '--yaml')
    pasted = write(tmp_path, stock(), 'pasted.yml')
    pasted.write_text(pasted.read_text() + capsys.readouterr().out)
    plan('-opt', pasted, '--json')
    assert capsys.readouterr().out == before


def test_overrides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, stock())
    plan('-opt', path, '--json', '--force_yml', 'multigrid:preset=lin2022', 'train:total_iter=60000')
    assert json.loads(capsys.readouterr().out)['total_iter'] == 60_000


def test_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, stock(block=PAPER))
    plan('-opt', path, '--json', '--plot', tmp_path / 'plan.png')
    json.loads(capsys.readouterr().out)  # still one JSON object
    assert (tmp_path / 'plan.png').read_bytes().startswith(b'\x89PNG')
    plan('-opt', path, '--plot', tmp_path / 'plan')
    assert capsys.readouterr().out.endswith(f'Drawn in {tmp_path / "plan"}.\n')
    assert (tmp_path / 'plan').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('name', ['missing/plan.png', 'plan.txt', '.'])
def test_a_picture_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path = write(tmp_path, stock(block=PAPER))
    lines = refused(capsys, '-opt', path, '--plot', tmp_path / name)
    assert lines[0].startswith(f'--plot {tmp_path / name}: ')
    assert len(lines) == 3


@pytest.mark.parametrize(
    ('kind', 'block', 'changes', 'problems'),
    [
        ('reds', None, {}, ['multigrid']),
        ('reds', {'presets': 'lin2022'}, {}, ['multigrid.presets', 'multigrid.preset']),
        ('reds', {'preset': 'progressive', 'gt_sizes': [256], 'iters': [1]}, {}, ['multigrid.mini_batch_sizes']),
        ('edvr', {'preset': 'lin2022', 'temporal': [0.5, 1.0]}, {}, ['multigrid.temporal']),
        ('reds', {'preset': 'lin2022'}, {'datasets.train.gt_size': 250}, ['datasets.train.gt_size']),
        ('reds', PAPER | {'batch_size': 63}, {}, ['multigrid.batch_size']),
        ('reds', {'preset': 'lin2022'}, {'datasets.train.gt_sizes': [128, 256]}, ['datasets.train.gt_sizes']),
        ('reds', {'preset': 'lin2022'}, {'train': REMOVED}, ['train']),
    ],
)
def test_mistakes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    block: dict[str, Any] | None,
    changes: dict[str, Any],
    problems: list[str],
) -> None:
    lines = refused(capsys, '-opt', write(tmp_path, stock(kind, block, changes)))
    assert [line.partition(':')[0] for line in lines if not line.startswith('  ')] == problems
    assert len(lines) <= 3 * len(problems)


@pytest.mark.parametrize(('value', 'what'), [('0', '--world-size: 0'), ('-3', '--world-size: -3')])
def test_a_world_size_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str, what: str) -> None:
    assert refused(capsys, '-opt', write(tmp_path, stock(block=PAPER)), '--world-size', value)[0] == what


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, '-opt', tmp_path / 'x.yml')[0] == f'-opt {tmp_path / "x.yml"}: No such file or directory'


def module(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'mg_basicsr', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_module_as_a_program(tmp_path: Path) -> None:
    path = write(tmp_path, stock(block=PAPER))
    done = module('plan', '-opt', path, '--json')
    assert (done.returncode, done.stderr) == (0, '')
    assert json.loads(done.stdout)['total_iter'] == 75_000


def test_mistakes_end_the_program_with_exit_code_2(tmp_path: Path) -> None:
    done = module('plan', '-opt', write(tmp_path, stock('edvr', {'preset': 'lin2022', 'temporal': [3, 5]})))
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.strip().splitlines() == [
        'multigrid.temporal: [3, 5], but this dataset gives 5 frames for one GT frame',
        '  allowed: [1.0], sliding windows and images have a fixed number of frames',
        '  remove temporal',
    ]
    assert sorted(tmp_path.iterdir()) == [tmp_path / 'options.yml']  # nothing written


@pytest.mark.parametrize('form', [[], ['--json'], ['--yaml']])
def test_neither_torch_nor_basicsr_is_imported(tmp_path: Path, form: list[str]) -> None:
    code = (
        'import atexit, sys\n'
        'from mg_basicsr.cli.main import main\n'
        'heavy = {"torch", "torchvision", "basicsr", "numpy", "cv2", "matplotlib"}\n'
        'atexit.register(lambda: print("imported:", sorted(heavy & set(sys.modules))))\n'
        'main(sys.argv[1:])\n'
    )
    path = write(tmp_path, stock(block=PAPER))
    command = [sys.executable, '-c', code, 'plan', '-opt', str(path), *form]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == 'imported: []'


@pytest.mark.parametrize('text', ['000 100\n', '000 100 (720,1280,3) x\n', '', '# clips\n'])
def test_a_damaged_list_of_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """A run would be refused; where there is no list, on another machine, the plan is printed."""
    options = stock(block=PAPER)
    options['datasets']['train']['meta_info_file'] = str(tmp_path / 'meta.txt')
    path = write(tmp_path, options)
    plan('-opt', path)
    capsys.readouterr()
    (tmp_path / 'meta.txt').write_text(text)
    assert refused(capsys, '-opt', path)[0].startswith(f'{tmp_path}/meta.txt')
