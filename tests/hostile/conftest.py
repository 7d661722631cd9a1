"""Size and counts of the hostile tests. They are slow; MG_HOSTILE=10 makes them ten times as long (-m slow -s)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.clips import write_set
from tests.helpers.project import NewProject, Project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """Counts of what was tried and how it ended, printed at the end of a test."""
    counts: Counter[str] = Counter()
    yield counts
    told = ', '.join(f'{number} {what}' for what, number in sorted(counts.items()))
    print(f'\n{request.node.name}: {sum(counts.values())} cases: {told}')


@pytest.fixture(scope='session')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`GT/`, `LQ/`, `meta.txt`, and `val/` with the same inside."""
    return write_set(tmp_path_factory.mktemp('clips'))


@pytest.fixture(scope='session')
def new_project(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> NewProject:
    """Makes a project in a folder of its own; tests change and write it."""
    return lambda: Project(tmp_path_factory.mktemp('project'), clips)
