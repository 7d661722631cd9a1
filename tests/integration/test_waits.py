"""A whole run whose steps never wait: numbers are read from the device for the lines of the log alone."""

from __future__ import annotations

import json

import pytest

from tests.helpers.project import BLOCK, NewProject
from tests.helpers.trainer import Trainer
from tests.helpers.waits import COUNTED


@pytest.mark.slow
def test_numbers_are_read_for_the_log_alone(new_project: NewProject, trainer: Trainer) -> None:
    project = new_project()
    project.options['logger'].update(print_freq=5, save_checkpoint_freq=50)
    project.options['val'] = None
    del project.options['datasets']['val']
    project.write({**BLOCK, 'check': False})
    trainer(project, before=COUNTED.format('waits.json'))
    found = json.loads((project.root / 'waits.json').read_text())
    found.pop('0')  # before the first step: the loader's seed for its workers
    assert found.keys() == {'5', '10'}, found
    assert all(sum(counts.values()) == 1 for counts in found.values()), found
