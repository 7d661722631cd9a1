"""SIGTERM and SIGINT while a run trains: the step is finished and saved, and the run can be continued from there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mg_basicsr.host.run import Run, Specification
from mg_basicsr.host.stopping import EXIT_CODE, finish
from mg_basicsr.training.stop_signals import InterruptedValidationError, StopSignals
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

# Within the step of an iteration, a signal comes to this process and its workers from outside, as from a scheduler.
# The process is a session of its own, so that the test is not in its group.
SIGNALLED = """
import os, subprocess, time
os.setsid()
from basicsr.models.video_recurrent_model import VideoRecurrentModel
optimize = VideoRecurrentModel.optimize_parameters
def signalled(self, current_iter):
    if current_iter == {at}:
        subprocess.run(['kill', '-{name}', '--', f'-{{os.getpgrp()}}'], start_new_session=True)
        time.sleep(0.2)
    optimize(self, current_iter)
    print('trained', current_iter, flush=True)
VideoRecurrentModel.optimize_parameters = signalled
"""
# a validation that lasts until a signal comes
LONG_VALIDATION = """
import os, signal, threading, time
from basicsr.models.video_base_model import VideoBaseModel
def validate(self, *args):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    time.sleep(60)
if not os.path.exists('experiments'):
    VideoBaseModel.nondist_validation = validate
"""


def small(new_project: NewProject, workers: int = 0, validation: bool = False) -> Project:
    """The smallest network. Signals are sent by steps, and are meant to be by those of the run: no shape is tried."""
    project = new_project()
    project.shrink(validation, num_worker_per_gpu=workers)
    project.write({**BLOCK, 'check': False})
    return project


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, new_project: NewProject) -> Project:
    project = small(new_project)
    trainer(project)
    return project


def states(project: Project) -> list[str]:
    return sorted(path.name for path in (project.experiment / 'training_states').iterdir())


@pytest.mark.parametrize(('name', 'at', 'workers'), [('TERM', 4, 0), ('INT', 1, 2), ('INT', 12, 1)])
def test_the_step_is_finished_and_saved(
    trainer: Trainer, new_project: NewProject, undisturbed: Project, name: str, at: int, workers: int
) -> None:
    project = small(new_project, workers)
    output = trainer(project, before=SIGNALLED.format(at=at, name=name), code=EXIT_CODE)
    assert f'{at}.state' in states(project)
    assert f'trained {at}\n' in output and f'trained {at + 1}\n' not in output
    assert 'Traceback' not in output and output.count(f'SIG{name}') == 1
    assert f'multigrid: SIG{name} after iteration {at}, which is saved.' in project.log()
    trainer(project, '--auto_resume')
    assert same_weights(project.weights(), undisturbed.weights())


def test_a_validation_ends_at_once(trainer: Trainer, new_project: NewProject, undisturbed: Project) -> None:
    project = small(new_project, validation=True)
    project.options['logger']['save_checkpoint_freq'] = 5
    project.write({**BLOCK, 'check': False})
    output = trainer(project, before=LONG_VALIDATION, code=EXIT_CODE)
    assert 'SIGTERM during a validation, which is not repeated, after iteration 6, which is saved' in output
    assert states(project) == ['5.state', '6.state']
    trainer(project, '--auto_resume')
    assert same_weights(project.weights(), undisturbed.weights())


def test_a_second_interrupt_ends_at_once(trainer: Trainer, new_project: NewProject) -> None:
    twice = SIGNALLED.replace('time.sleep(0.2)', 'time.sleep(0.2); os.kill(os.getpid(), 2)').format(at=4, name='INT')
    project = small(new_project)
    output = trainer(project, before=twice, code=-signal.SIGINT)
    assert 'KeyboardInterrupt' in output and 'trained 4\n' not in output
    assert not (project.experiment / 'training_states/4.state').exists()


@pytest.mark.parametrize('parameters', ['self, epoch, current_iter', 'self, epoch, current_iter, scaler'])
def test_a_save_that_fails_is_not_called_saved(parameters: str, capsys: Any, caplog: Any) -> None:
    """Nothing is written, or the model wants arguments that we do not know."""
    model = type('Model', (), {'opt': {'path': {'training_states': 'nowhere'}}})()
    exec(f'def save({parameters}): print("called")', found := {})
    type(model).save = found['save']
    run = Run(Specification(None, SimpleNamespace(plan=SimpleNamespace(world_size=1))))
    run.clock.iteration = 3
    run.stop.received = signal.SIGTERM
    with pytest.raises(SystemExit) as exit:
        finish(run, model)
    assert exit.value.code == EXIT_CODE == 75
    output = caplog.text + capsys.readouterr().out
    assert 'SIGTERM after iteration 3, which could not be saved' in output
    assert ('called' in output) == ('scaler' not in parameters)


def test_handlers_are_the_hosts_before_and_after(trainer: Trainer, new_project: NewProject) -> None:
    """And what was ignored stays ignored: a job in the background of a shell gets no SIGINT."""
    script = (
        'import mg_basicsr, os, signal\n'
        'from basicsr.train import train_pipeline\n'
        'from basicsr.models.video_recurrent_model import VideoRecurrentModel\n'
        'before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}\n'
        'signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
        'optimize = VideoRecurrentModel.optimize_parameters\n'
        'def looking(self, current_iter):\n'
        '    assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]\n'
        '    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN\n'
        '    optimize(self, current_iter)\n'
        'VideoRecurrentModel.optimize_parameters = looking\n'
        'train_pipeline(os.getcwd())\n'
        'assert signal.getsignal(signal.SIGTERM) == before[signal.SIGTERM]\n'
        'assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN\n'
    )
    trainer(small(new_project), script=script)


@pytest.fixture
def stop() -> Iterator[StopSignals]:
    stop = StopSignals()
    stop.watch()
    yield stop
    stop.put_back()


def test_a_signal_is_noted_once(stop: StopSignals) -> None:
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.received is signal.SIGTERM
    stop.at_once = True
    with pytest.raises(InterruptedValidationError):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_without_main_thread_is_left_alone(monkeypatch: Any) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = StopSignals()
    monkeypatch.setattr('threading.main_thread', lambda: None)
    stop.watch()
    assert signal.getsignal(signal.SIGTERM) == before
