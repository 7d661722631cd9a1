"""`mg-basicsr check` against BasicSR itself: what the run takes in stock BasicSR, from a store, with other options."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header
from mg_basicsr.train_set import train_set_of
from tests.helpers.clips import write_clips
from tests.helpers.project import BLOCK, NewProject, Project
from tests.helpers.trainer import Trainer

CHECK = 'import sys\nfrom mg_basicsr.cli.main import main\nmain(["check", *sys.argv[1:]])\n'
FRAMES = 100  # as BasicSR's class of REDS takes every clip to have


@pytest.fixture
def whole(new_project: NewProject, tmp_path: Path) -> Project:
    """Project whose training set BasicSR's own class can read."""
    write_clips(tmp_path, {'001': FRAMES}, shape=(64, 64))
    (tmp_path / 'meta.txt').write_text(f'001 {FRAMES} (64,64,3)\n')
    project = new_project()
    project.shrink(
        dataroot_gt=f'{tmp_path}/GT', dataroot_lq=f'{tmp_path}/LQ', meta_info_file=f'{tmp_path}/meta.txt',
        num_worker_per_gpu=1, num_frame=3,
    )  # fmt: skip
    return project


def checked(trainer: Trainer, project: Project, *flags: str) -> tuple[dict[str, Any], str]:
    """The hours of `check --json`, with its ways by name, and what was printed to standard error."""
    done = trainer.launch(project, '-m', 'mg_basicsr', 'check', '-opt', 'train.yml', '--json', *flags)
    hours: dict[str, Any] = json.loads(done.stdout)['hours']
    hours['ways'] = {way.pop('way'): way for way in hours['ways']}
    return hours, done.stderr


def test_every_way_is_timed(trainer: Trainer, whole: Project) -> None:
    whole.write({**BLOCK, 'base_batch_size': 4})
    before = sorted(path.name for path in whole.root.iterdir())
    hours, progress = checked(trainer, whole)
    ways = hours['ways']
    assert list(ways)[:3] == ['stock BasicSR', 'with the block', 'with the block and a store']
    assert {'multigrid.fused_optimizer: true', 'multigrid.channels_last: true'} < set(ways)
    for name, way in ways.items():
        assert way['hours'] > 0 and way['bound'] in ('loading', 'arithmetic', 'cores'), (name, way)
    assert ways['stock BasicSR']['hours'] == hours['baseline'] and ways['with the block']['hours'] == hours['multigrid']
    assert ways['stock BasicSR']['note'] == '4 clips per iteration, as its rate was made for'
    assert 'mg-basicsr prepare -opt train.yml -o STORE' in ways['with the block and a store']['change']
    assert ways['with the block']['change'] is None and hours['advice']
    assert re.search(r'^check: shape 1 of \d+: \d clips x 3 frames x 64 px \(\d+ s\)$', progress, re.MULTILINE)
    assert 'stock BasicSR: reading' in progress
    assert sorted(path.name for path in whole.root.iterdir()) == before


def test_a_store_is_compared_with_the_folders(trainer: Trainer, whole: Project) -> None:
    train_set = train_set_of(whole.options)
    assert train_set.options is not None
    build(whole.root / 'store', Header(4), from_options(train_set.options, 'reds', None))
    whole.write({**BLOCK, 'store': 'store', 'channels_last': True})
    hours, _ = checked(trainer, whole, '--no-stock')
    assert list(hours['ways'])[:2] == ['with the block and a store', 'with the block']
    assert hours['ways']['with the block and a store']['hours'] == hours['multigrid']
    assert hours['ways']['with the block']['hours'] > 0
    assert 'multigrid.channels_last: false' in hours['ways']


def test_parts_can_be_left_out(trainer: Trainer, whole: Project) -> None:
    whole.write()
    hours, progress = checked(trainer, whole, '--no-stock', '--no-others')
    assert list(hours['ways']) == ['with the block'] and hours['advice'] is None
    assert 'stock' not in progress and 'option 1' not in progress


@pytest.mark.parametrize('workers', [0, 1])
def test_what_stock_cannot_read_is_a_reason_not_an_error(
    trainer: Trainer, whole: Project, tmp_path: Path, workers: int
) -> None:
    """BasicSR takes every clip of REDS to have 100 frames."""
    whole.options['datasets']['train']['num_worker_per_gpu'] = workers
    (tmp_path / 'meta.txt').write_text('001 3 (64,64,3)\n')
    for path in tmp_path.glob('?[TQ]/001/*.png'):
        if int(path.stem) >= 3:
            path.unlink()
    whole.write()
    hours, progress = checked(trainer, whole, '--no-others')
    ways = hours['ways']
    reason = 'not timed: BasicSR cannot use its data set: FileNotFoundError: '
    assert ways['stock BasicSR']['note'].startswith(reason) and '.png' in ways['stock BasicSR']['note']
    assert ways['stock BasicSR']['hours'] is None and ways['with the block']['hours'] > 0
    assert 'Traceback' not in progress and hours['baseline'] > 0


@pytest.mark.parametrize('workers', [0, 1])
def test_a_class_of_the_host_that_cannot_read(trainer: Trainer, whole: Project, workers: int) -> None:
    fails = (
        'from basicsr.data.reds_dataset import REDSRecurrentDataset as stock\n'
        'def fails(self, index):\n    raise ValueError("no such\\nclip")\n'
        'stock.__getitem__ = fails\n'
    )
    whole.options['datasets']['train']['num_worker_per_gpu'] = workers
    whole.write()
    output = trainer(whole, before='import mg_basicsr\n' + fails, script=CHECK, code=2)
    assert 'datasets.train: REDSRecurrentDataset cannot read clips: ValueError: no such' in output
    assert 'Traceback' not in output and not whole.experiment.exists()
