"""Settings of the test tools, and what unit and integration tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.trainer import Trainer

settings.register_profile('mg_basicsr', deadline=None)  # other work on the machine must not fail a test
settings.load_profile('mg_basicsr')

# On one thread sums are in one order, and processes that run beside each other do not fight for the cores. Torch reads
# this when it is imported.
os.environ['OMP_NUM_THREADS'] = '1'

# Processes that tests start in other folders import the package that is tested, whichever is installed.
ROOT = Path(__file__).parents[1]
os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))


@pytest.fixture(scope='session')
def trainer() -> Iterator[Trainer]:
    """Runs trainings and commands in forks of one process that has imported what they need."""
    with Trainer() as started:
        yield started
