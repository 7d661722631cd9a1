"""A frame that goes bad: on_bad_frame: error and skip_clip in whole runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.project import BLOCK, Project, same_weights
from tests.helpers.trainer import Trainer

Make = Callable[..., Project]


@pytest.fixture(scope='module')
def make(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Make:
    """Makes a project on a set whose clip 003 has lost a frame, and another that is no image any more."""
    data = tmp_path_factory.mktemp('damaged') / 'data'
    shutil.copytree(clips, data)
    (data / 'LQ/003/00000006.png').write_bytes(b'noise')
    (data / 'GT/003/00000003.png').unlink()

    def make(workers: int = 0, **block: Any) -> Project:
        project = Project(tmp_path_factory.mktemp('project'), data)
        project.shrink(num_worker_per_gpu=workers)
        project.options['logger']['save_checkpoint_freq'] = 5
        project.write({**BLOCK, **block})
        return project

    return make


def test_skipped_clips_do_not_depend_on_workers_or_restarts(trainer: Trainer, make: Make) -> None:
    projects = [make(workers, on_bad_frame='skip_clip') for workers in (0, 1, 2)]
    first = projects[0]
    trainer(first)
    assert first.log().count('multigrid: clip 003 is skipped') == 1
    assert 'LQ/003/00000006.png' in first.log() or 'GT/003/00000003.png' in first.log()
    assert 'multigrid: 1 bad clips were skipped: 003' in first.log()
    assert first.log().count('clips: 2') >= 12
    trainer(projects[1])
    resumed = projects[2]
    for folder, name in (('models', 'net_g_5.pth'), ('training_states', '5.state')):
        (resumed.experiment / folder).mkdir(parents=True)
        shutil.copy(first.experiment / folder / name, resumed.experiment / folder)
    trainer(resumed, '--auto_resume')
    assert first.losses() == projects[1].losses() and first.losses()[5:] == resumed.losses()
    assert all(same_weights(first.weights(), project.weights()) for project in projects[1:])


def test_a_missing_frame_that_is_not_to_be_skipped_is_found_at_the_start(trainer: Trainer, make: Make) -> None:
    project = make()
    output = trainer(project, code=2)
    assert 'GT/003/00000003.png' in output and not project.experiment.exists()


def test_a_frame_that_cannot_be_decoded_ends_the_run_and_says_what_to_do(
    trainer: Trainer, make: Make, clips: Path
) -> None:
    project = make(workers=1)
    shutil.copytree(clips, project.root / 'data')
    for path in (project.root / 'data/LQ').glob('*/*.png'):
        if path.stem != '00000000':  # the start reads the first frame of a clip
            path.write_bytes(b'noise')
    project.options['datasets']['train']['dataroot_lq'] = str(project.root / 'data/LQ')
    project.options['datasets']['train']['dataroot_gt'] = str(clips / 'GT')
    project.write()
    output = trainer(project, code=2)
    for expected in ('data/LQ/00', 'clip 00', 'frame 0000', 'meta_info_file', 'skip_clip', 'mg-basicsr check -opt'):
        assert expected in output
    assert 'Traceback' not in output


def test_a_set_that_is_bad_throughout_is_an_error(trainer: Trainer, make: Make) -> None:
    """At the start if frames are missing, and else in the first mini-batch."""
    project = make(on_bad_frame='skip_clip')
    project.options['datasets']['train']['dataroot_lq'] = str(project.root)
    project.write({**BLOCK, 'on_bad_frame': 'skip_clip'})
    assert 'frames are missing' in trainer(project, code=2)
    assert not project.experiment.exists()


def test_somebody_elses_dataset(trainer: Trainer, make: Make) -> None:
    """Any exception of its own counts as a bad clip."""
    dataset = (
        'import mg_basicsr\n'
        'from basicsr.utils.registry import DATASET_REGISTRY\n'
        'import torch\n'
        '@DATASET_REGISTRY.register()\n'
        'class Foreign(torch.utils.data.Dataset):\n'
        '    def __init__(self, opt): self.opt = opt\n'
        '    def __len__(self): return 10\n'
        '    def __getitem__(self, index):\n'
        '        if index == 4: raise AttributeError("no astype")\n'
        '        size = self.opt["gt_size"]\n'
        '        return {"lq": torch.rand(6, 3, size // 4, size // 4), "gt": torch.rand(6, 3, size, size)}\n'
    )
    weights = []
    for workers in (0, 2):
        project = make(workers)
        project.options['datasets']['train']['type'] = 'Foreign'
        project.write({**BLOCK, 'on_bad_frame': 'skip_clip'})
        trainer(project, before=dataset)
        assert project.log().count('multigrid: clip 4 of Foreign is skipped') == 1
        assert "AttributeError('no astype')" in project.log()
        weights.append(project.weights())
    assert same_weights(*weights)
    project.write()
    assert 'AttributeError: no astype' in trainer(project, before=dataset, code=1)
