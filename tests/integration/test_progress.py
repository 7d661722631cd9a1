"""A run and its resume: the log's estimate, the record, TensorBoard, and the report of them."""

from __future__ import annotations

import re

import pytest

from mg_basicsr.report.experiment import read_experiment
from mg_basicsr.report.page import page
from mg_basicsr.report.run_record import FILE, kept_events, read_events
from tests.helpers.project import BLOCK, NewProject, Project
from tests.helpers.trainer import Trainer

KILL = """
import mg_basicsr, os, signal
from basicsr.models.video_recurrent_model import VideoRecurrentModel as Model
original = Model.optimize_parameters
def step(self, current_iter):
    if current_iter == 10 and not os.path.exists('killed'):
        open('killed', 'w').close()
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, current_iter)
Model.optimize_parameters = step
"""


@pytest.fixture(scope='module')
def resumed(new_project: NewProject, trainer: Trainer) -> Project:
    """Killed in iteration 10, with a line of the record torn, and resumed from 6."""
    project = new_project()
    project.shrink(validation=True)
    project.options['logger'] |= {'use_tb_logger': True}
    project.write(BLOCK)
    trainer(project, before=KILL, code=-9)
    record = project.experiment / FILE
    with record.open('a') as file:
        file.write('{"event": "step", "iter": 9')
    trainer(project, '--auto_resume', before=KILL)
    return project


def test_the_record_continues(resumed: Project) -> None:
    lines = (resumed.experiment / FILE).read_text().splitlines()
    events = read_events(resumed.experiment / FILE)
    assert len(lines) == len(events)
    starts = [event for event in events if event['event'] == 'start']
    assert [start['iter'] for start in starts] == [0, 6]
    assert starts[0]['plan'] == starts[1]['plan'] and starts[0]['command']
    kept = kept_events(events)
    steps = [event for event in kept if event['event'] == 'step']
    assert [event['iter'] for event in steps] == list(range(1, 13))
    trained = [event['trained'] for event in kept]
    assert trained == sorted(trained) and len({event['batch'] for event in steps}) == 12
    lost = next(event for event in events if event['event'] == 'step' and event['iter'] == 8)
    again = next(event for event in steps if event['iter'] == 8)
    assert lost is not again and lost['batch'] == again['batch']
    assert {event['iter'] for event in kept if event['event'] == 'validation'} == {6, 12}
    assert kept[-1]['iter'] == 12 and any(event['event'] == 'end' for event in kept)


def test_the_log(resumed: Project) -> None:
    log = resumed.log()
    assert 'multigrid: command: ' in log and 'multigrid: plan ' in log and 'iterations trained in' in log
    etas = re.findall(r'\[eta: ([^,]+),', log)
    assert len(etas) == 6 and all(re.fullmatch(r'\d+:\d\d:\d\d', eta) for eta in etas)
    assert 'stage: 6/6 clips: 2 frames: 6 gt_size: 64 stage_done: 100% clips/s: ' in log


def test_tensorboard(resumed: Project) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(resumed.root / 'tb_logger' / 'tiny'))
    events.Reload()
    tags = set(events.Tags()['scalars'])
    assert {f'multigrid/{name}' for name in ('lr', 'mpixel_per_s', 'data_seconds', 'left_seconds')} <= tags
    assert {'stage', 'clips/s', 'multigrid/by_seconds_trained/REDS4/psnr'} <= tags
    assert 'multigrid/memory_mib' not in tags  # on a CPU


def test_the_report(resumed: Project) -> None:
    experiment = read_experiment(resumed.experiment)
    assert experiment.finished and experiment.history.iterations == 12 and len(experiment.stage_seconds) == 6
    assert [score.iteration for score in experiment.history.scores] == [6, 12]
    assert experiment.options['multigrid.preset'] == 'lin2022'
    assert 'psnr on REDS4' in page([experiment])
