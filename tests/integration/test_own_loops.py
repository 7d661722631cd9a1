"""Train loops that call BasicSR's parts in another order, or without some of them: the same run, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mg_basicsr.errors import EXIT_CODE
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

START = """
import mg_basicsr, os, torch
from basicsr.data import build_dataloader, build_dataset
from basicsr.data.data_sampler import EnlargedSampler
from basicsr.data.prefetch_dataloader import CPUPrefetcher
from basicsr.models import build_model
from basicsr.train import load_resume_state
from basicsr.utils import make_exp_dirs, get_root_logger
from basicsr.utils.options import parse_options

opt, _ = parse_options(os.getcwd(), is_train=True)
state = load_resume_state(opt)
if state is None:
    make_exp_dirs(opt)
logger = get_root_logger(log_file='log.txt')
train_opt = opt['datasets']['train']
train_set = build_dataset(train_opt)
sampler = EnlargedSampler(train_set, 1, 0, 1)
loader = build_dataloader(train_set, train_opt, num_gpu=0, dist=False, sampler=sampler, seed=0)
model = build_model(opt)
current_iter, last = 0, opt['train']['total_iter']
if state:
    model.resume_training(state)
    current_iter = state['iter']
passes = 0
"""
LOOPS = {
    # without a prefetcher; rates after the step; the loop ends where its counter says so
    'loader': """
while current_iter <= last:
    passes += 1
    assert passes < 5, 'spins for ever'
    for batch in loader:
        current_iter += 1
        if current_iter > last:
            break
        model.feed_data(batch)
        model.optimize_parameters(current_iter)
        model.update_learning_rate(current_iter)
        if current_iter % 5 == 0:
            model.save(0, current_iter)
""",
    # without a prefetcher and without rates; the loop ends with its data
    'epoch': """
for batch in loader:
    current_iter += 1
    model.feed_data(batch)
    model.optimize_parameters(current_iter)
    if current_iter % 5 == 0:
        model.save(0, current_iter)
""",
    # rates after the next mini-batch has been fetched
    'fetched': """
prefetcher = CPUPrefetcher(loader)
batch = prefetcher.next()
while batch:
    current_iter += 1
    model.feed_data(batch)
    model.optimize_parameters(current_iter)
    batch = prefetcher.next()
    model.update_learning_rate(current_iter, warmup_iter=-1)
    if current_iter % 5 == 0:
        model.save(0, current_iter)
""",
}
END = '\nassert current_iter in (last, last + 1)\nmodel.save(-1, -1)\n'
FROM_ZERO = """
prefetcher = CPUPrefetcher(loader)
for current_iter in range(last):
    model.feed_data(prefetcher.next())
    model.optimize_parameters(current_iter)
"""
WITHOUT_END = """
for epoch in range(3):
    for batch in loader:
        model.feed_data(batch)
        model.optimize_parameters(current_iter + 1)
        current_iter += 1
"""


@pytest.fixture(scope='module')
def make(new_project: NewProject) -> Callable[[], Project]:
    def make() -> Project:
        project = new_project()
        project.shrink()
        project.options['logger']['save_checkpoint_freq'] = 5
        project.write({**BLOCK, 'check': False})
        return project

    return make


@pytest.fixture(scope='module')
def usual(trainer: Trainer, make: Callable[[], Project]) -> Project:
    project = make()
    trainer(project)
    return project


@pytest.mark.parametrize('loop', LOOPS)
def test_the_same_run_and_the_same_states(
    trainer: Trainer, make: Callable[[], Project], usual: Project, loop: str
) -> None:
    project = make()
    trainer(project, script=START + LOOPS[loop] + END)
    assert same_weights(project.weights(), usual.weights())
    for folder, name in (('models', 'net_g_10.pth'), ('training_states', '10.state'), ('models', 'net_g_latest.pth')):
        (project.experiment / folder / name).unlink()
    trainer(project, '--auto_resume', script=START + LOOPS[loop] + END)
    assert same_weights(project.weights(), usual.weights())


@pytest.mark.parametrize(
    ('loop', 'told'),
    [
        (FROM_ZERO, 'calls optimize_parameters with the number 0 with the mini-batch of iteration 1'),
        (WITHOUT_END, 'the train loop continues after all 12 iterations of the plan'),
    ],
    ids=['from 0', 'without an end'],
)
def test_what_is_refused(trainer: Trainer, make: Callable[[], Project], loop: str, told: str) -> None:
    project = make()
    output = trainer(project, script=START + loop, code=EXIT_CODE)
    assert told in output and 'Traceback' not in output
