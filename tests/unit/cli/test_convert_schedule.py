"""`mg-basicsr convert` of files with a schedule of their own: Restormer's lists move into the block."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mg_basicsr.cli.main import main
from tests.helpers.stock_options import described, stock

LISTS = """    # progressive training
    mini_batch_sizes: [8,5,4,2,1,1]   # per GPU
    iters: [92000,64000,48000,36000,36000,24000]
    gt_size: 384   # the largest
    gt_sizes: [128,160,192,256,320,384]  # crops
"""
SINGLE = """    mini_batch_sizes: [4]
    iters: [1000]
    gt_size: 384 # of which a part is taken
    gt_sizes:
    - 256
"""
SIZES, CLIPS = [128, 160, 192, 256, 320, 384], [8, 5, 4, 2, 1, 1]


def written(folder: Path, lists: str) -> Path:
    options = stock(changes={'scale': 1, 'datasets.train.batch_size_per_gpu': 8, 'train.fix_flow': 0})
    del options['datasets']['train']['gt_size']
    text = yaml.safe_dump(options, sort_keys=False)
    before, train, after = text.partition('  train:\n')
    path = folder / 'x.yml'
    path.write_text(before + train + lists + after)
    return path


def convert(source: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['convert', '-opt', str(source), '-o', str(source.with_name('y.yml')), *arguments])
    return int(ended.value.code or 0)


@pytest.mark.parametrize('arguments', [(), ('--preset', 'progressive')])
def test_the_schedule_moves_into_the_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    source = written(tmp_path, LISTS)
    assert convert(source, *arguments) == 0
    told = capsys.readouterr().out
    assert "6 stages, those of the file's own schedule" in told and 'speed-up' not in told
    text = source.with_name('y.yml').read_text()
    whole = (
        LISTS.replace('[8,5,4,2,1,1]', '[8]')
        .replace('[92000,64000,48000,36000,36000,24000]', '[300000]')
        .replace('[128,160,192,256,320,384]', '[384]')
    )
    assert text.startswith(source.read_text().replace(LISTS, whole))
    options = yaml.safe_load(text)
    block = options['multigrid']
    assert (block['preset'], block['base_batch_size']) == ('progressive', 32)  # 4 GPUs x 8
    stages = described(options)['stages']
    assert [(stage['gt_size'], stage['clips'], stage['iters']) for stage in stages] == [
        (size, 4 * clips, iters)
        for size, clips, iters in zip(SIZES, CLIPS, [92_000, 64_000, 48_000, 36_000, 36_000, 24_000], strict=True)
    ]
    assert main_plans(source.with_name('y.yml'))


def main_plans(path: Path) -> bool:
    with pytest.raises(SystemExit) as ended:
        main(['plan', '-opt', str(path)])
    return not ended.value.code


@pytest.mark.parametrize('preset', ['lin2022', 'progressive'])
def test_one_stage_is_no_schedule_but_a_size(tmp_path: Path, preset: str) -> None:
    """Its crops and mini-batches become those of the file, which every preset can plan."""
    source = written(tmp_path, SINGLE)
    assert convert(source, '--preset', preset) == 0
    options = yaml.safe_load(source.with_name('y.yml').read_text())
    train_set = options['datasets']['train']
    assert (train_set['gt_size'], train_set['gt_sizes'], train_set['iters']) == (256, [256], [300_000])
    assert (train_set['batch_size_per_gpu'], train_set['mini_batch_sizes']) == (4, [4])
    assert options['multigrid']['base_batch_size'] == 16
    plan = described(options)
    assert len(plan['stages']) > 1 and plan['stages'][-1]['gt_size'] == 256
    assert '# of which a part is taken' in source.with_name('y.yml').read_text()


@pytest.mark.parametrize(
    ('lists', 'arguments', 'told'),
    [
        (LISTS, ('--preset', 'lin2022'), '--preset lin2022: the file has its own schedule, of 6 stages'),
        (LISTS.replace('92000,', ''), (), 'datasets.train.gt_sizes: 6 gt_sizes, 6 mini_batch_sizes, 5 iters'),
        (LISTS.replace('256,320,384', '256,384,320'), (), 'multigrid.gt_sizes: the last is 320'),
        (LISTS.replace('[8,5', '&a [8,5') + '    other: *a\n', (), '-opt '),
    ],
)
def test_what_cannot_be_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lists: str, arguments: tuple[str, ...], told: str
) -> None:
    source = written(tmp_path, lists)
    assert convert(source, *arguments) == 2
    assert capsys.readouterr().err.strip().startswith(told)
    assert not source.with_name('y.yml').exists()
