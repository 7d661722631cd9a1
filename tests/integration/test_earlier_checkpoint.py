"""A checkpoint of an earlier version is resumed; see tests/data/README.md."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from tests.helpers.clips import write_clips
from tests.helpers.project import Project
from tests.helpers.trainer import Trainer

CHECKPOINT = Path(__file__).parents[1] / 'data/checkpoint'
CLIPS = {'001': 9, '002': 12, '003': 8}
BLOCK = {
    'preset': 'lin2022', 'min_lq_size': 8, 'min_frames': 3, 'batch_size': 4, 'base_batch_size': 2, 'warmup_iter': 2,
    'max_clips': 1, 'precision': 'bfloat16',
}  # fmt: skip


def test_it_is_resumed_by_today_s_code(trainer: Trainer, tmp_path: Path) -> None:
    clips = tmp_path / 'clips'
    write_clips(clips, CLIPS)
    (clips / 'meta.txt').write_text(''.join(f'{name} {frames} (96,128,3)\n' for name, frames in CLIPS.items()))
    project = Project(tmp_path, clips)
    project.shrink()
    project.write(BLOCK)
    shutil.copytree(CHECKPOINT, project.experiment)
    before = project.weights(3)
    trainer(project, '--auto_resume')
    log = project.log()
    assert 'multigrid: resumed from' in log and '3.state' in log
    assert not any(line in log for line in ('is damaged', 'do not fit', 'nothing is restored'))
    assert len(project.losses()) == 3  # iterations 4 to 6
    after = project.weights()
    assert before.keys() == after.keys() == {'params', 'params_ema'}
    assert any(not torch.equal(before['params'][name], after['params'][name]) for name in before['params'])
