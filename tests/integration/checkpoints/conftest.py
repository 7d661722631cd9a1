"""Runs of twelve iterations of the smallest network, with a checkpoint after every third."""

from __future__ import annotations

import pytest

from tests.helpers.checkpoints import copy_pair
from tests.helpers.project import NewProject, Project
from tests.helpers.trainer import Trainer


@pytest.fixture(scope='package')
def make(new_project: NewProject) -> NewProject:
    """Makes such a project."""

    def make() -> Project:
        project = new_project()
        project.shrink()
        project.options['logger']['save_checkpoint_freq'] = 3
        project.write()
        return project

    return make


@pytest.fixture(scope='package')
def undisturbed(trainer: Trainer, make: NewProject) -> Project:
    """A run that came to its end."""
    project = make()
    trainer(project)
    return project


@pytest.fixture
def killed(make: NewProject, undisturbed: Project) -> Project:
    """A run that was killed after nine iterations."""
    project = make()
    copy_pair(undisturbed, project, 3, 6, 9)
    return project
