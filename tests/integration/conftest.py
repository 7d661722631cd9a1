"""A set of small clips, and projects to train on it: real files, the real BasicSR, a tiny network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import write_set
from tests.helpers.project import NewProject, Project


@pytest.fixture(scope='session')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`GT/`, `LQ/`, `meta.txt`, and `val/` with the same inside. Writing it takes 50 ms: each worker has its own."""
    return write_set(tmp_path_factory.mktemp('clips'))


@pytest.fixture
def project(tmp_path: Path, clips: Path) -> Project:
    return Project(tmp_path, clips)


@pytest.fixture(scope='session')
def new_project(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> NewProject:
    """Makes a project in a folder of its own; tests change and write it."""
    return lambda: Project(tmp_path_factory.mktemp('project'), clips)
