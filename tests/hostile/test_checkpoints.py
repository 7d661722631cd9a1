"""Damaged checkpoints: the run continues to the same end, or an error names the file; nothing is lost."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from tests.helpers.checkpoints import assert_same_end, copy_pair
from tests.helpers.damages import DAMAGES
from tests.helpers.hostile import cases, check_told
from tests.helpers.project import NewProject, Project, same_weights
from tests.helpers.trainer import Trainer


def small(new_project: NewProject) -> Project:
    project = new_project()
    project.shrink()
    project.options['logger']['save_checkpoint_freq'] = 3
    project.write()
    return project


def saved(project: Project) -> list[Path]:
    return sorted(path for path in project.experiment.glob('*/*') if path.suffix in ('.pth', '.state'))


def test_damaged_checkpoints(trainer: Trainer, new_project: NewProject, count: Counter[str]) -> None:
    undisturbed = small(new_project)
    trainer(undisturbed)
    project = small(new_project)
    for rng in cases(25):
        shutil.rmtree(project.root / 'experiments', ignore_errors=True)
        iterations = [3, 6, 9][: rng.randint(1, 3)]
        copy_pair(undisturbed, project, *iterations)
        damaged = []
        for path in rng.sample(saved(project), rng.choice([1, 1, 2])):
            damage = rng.choice(DAMAGES)
            damage(path, rng)
            damaged.append((damage.__name__, path))
        done = trainer.train(project, '--auto_resume', check=False)
        told = done.stdout + done.stderr
        names = [name for _, path in damaged for name in (path.name, path.stem)]
        assert done.returncode in (0, 2), (damaged, told[-3000:])
        if done.returncode == 2:
            check_told(2, done.stderr, *names)
            assert len(saved(project)) >= 2 * len(iterations) - len(damaged)  # nothing else is removed
        else:
            assert 'Traceback' not in told, damaged
            assert_same_end(project, undisturbed, 12)
        count['equal' if done.returncode == 0 else 'refused'] += 1


def test_damaged_pretrained_networks(trainer: Trainer, new_project: NewProject, count: Counter[str]) -> None:
    source = small(new_project)
    trainer(source)
    project = small(new_project)
    file = project.root / 'pretrained.pth'
    project.options['path']['pretrain_network_g'] = str(file)
    project.write()
    shutil.copy(source.experiment / 'models/net_g_12.pth', file)
    trainer(project)
    undisturbed = project.weights()
    for rng in cases(14):
        shutil.rmtree(project.root / 'experiments', ignore_errors=True)
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)
        shutil.copy(source.experiment / 'models/net_g_12.pth', file)
        damage = rng.choice(DAMAGES)
        damage(file, rng)
        done = trainer.train(project, check=False)
        check_told(done.returncode, done.stderr, file.name)
        # a bit of the hash's own label says nothing of the weights, which have other sums
        assert done.returncode == 2 or same_weights(project.weights(), undisturbed), damage.__name__
        count['equal' if done.returncode == 0 else 'refused'] += 1
