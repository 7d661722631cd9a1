"""The start of a training: the host's own work is tried first, and nothing is written if it fails."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from tests.helpers.project import BLOCK, NewProject, Project
from tests.helpers.ranks import torchrun
from tests.helpers.start import problems_at_start, written
from tests.helpers.stock_files import changed, places, recipe, write_data
from tests.helpers.trainer import Trainer
from tests.unit.host.trial.test_every_key import WRONG

SAMPLE = 12  # cases that start, which are trained to the end with the block and without it


@pytest.fixture
def small(new_project: NewProject) -> Project:
    project = new_project()
    project.shrink(validation=True)
    return project


@pytest.mark.parametrize('command', ['train', 'check'])
def test_nothing_is_written_or_archived(trainer: Trainer, small: Project, command: str) -> None:
    small.options['val']['metrics']['psnr']['type'] = 'calculate_psrn'
    small.options['val']['save_img'] = True
    small.write()
    (small.experiment / 'models').mkdir(parents=True)
    before = written(small.root)
    done = trainer.launch(small, '-m', 'mg_basicsr', command, '-opt', 'train.yml', check=False)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert "val.metrics.psnr.type: 'calculate_psrn'" in done.stderr and 'val.save_img: true' in done.stderr
    assert written(small.root) == before


def test_without_the_check_only_files_and_keys_are_looked_at(trainer: Trainer, small: Project) -> None:
    small.options['datasets']['val']['meta_info_file'] = 'list.txt'
    small.options['logger']['print_freq'] = 0
    small.write({**BLOCK, 'check': False})
    done = trainer.train(small, check=False)
    assert done.returncode == 2 and not small.experiment.exists()
    assert 'datasets.val.meta_info_file: list.txt' in done.stderr and 'logger.print_freq: 0' in done.stderr


def test_a_resumed_run_is_rehearsed_too(trainer: Trainer, small: Project) -> None:
    small.write()
    trainer.train(small)
    assert small.log().count('tried before that in') == 1
    (small.experiment / 'training_states/12.state').unlink()
    for suffix, code in (('g', 0), ('save', 2)):
        small.options['val']['save_img'] = suffix == 'save'
        small.write()
        before = written(small.root)
        done = trainer.train(small, '--auto_resume', check=False)
        assert done.returncode == code, done.stderr
        if code == 0:
            (small.experiment / 'training_states/12.state').unlink()
    assert 'val.save_img: true' in done.stderr and 'Traceback' not in done.stderr
    assert [name for name in written(small.root) if '12.state' not in name] == [
        n for n in before if '12.state' not in n
    ]


@pytest.mark.slow
@pytest.mark.parametrize('good', [True, False])
def test_two_ranks(trainer: Trainer, small: Project, good: bool) -> None:
    small.options['datasets']['train']['batch_size_per_gpu'] = 1
    small.options['val']['save_img'] = not good
    small.write()
    done = torchrun(trainer, small, 2, '-m', 'mg_basicsr', 'train', check=False)
    assert (done.returncode == 0) is good, done.stderr
    assert small.experiment.exists() is good
    if not good:
        assert 'val.save_img: true' in done.stderr and 'rank 0: cannot train' in done.stderr


@pytest.mark.slow
def test_what_starts_trains_as_stock_does(
    trainer: Trainer, new_project: NewProject, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sample of the cases of `test_every_key` that start: BasicSR trains them as well, and both get to the end."""
    write_data(clips)
    options = recipe('image', clips)
    every = [(place, value) for place in places(options) for value in WRONG if place[0] != 'name']
    random.Random(0).shuffle(every)
    trained = 0
    for place, value in every:
        case = changed(options, place, value)
        project = new_project()
        if trained == SAMPLE or problems_at_start(case, project.root):
            continue
        stock = {key: section for key, section in case.items() if key != 'multigrid'}
        for name, content in (('block', case), ('stock', stock)):
            (project.root / 'train.yml').write_text(yaml.safe_dump({**content, 'name': name}, sort_keys=False))
            done = trainer.train(project, check=False)
            assert done.returncode == 0, (name, place, value, done.stderr[-2000:])
        trained += 1
    with capsys.disabled():
        print(f'\n{trained} cases trained with the block and without it')
    assert trained == SAMPLE
