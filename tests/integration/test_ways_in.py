"""The three ways in lead to the same training, with any number of workers; and without a block, to BasicSR's own."""

from __future__ import annotations

import pytest

from tests.helpers.clips import write_clips
from tests.helpers.networks import NARROW_FLOW
from tests.helpers.project import BLOCK, Project, same_weights

# what a repository's own train.py looks like at its shortest
SCRIPT = 'import os\nfrom basicsr.train import train_pipeline\ntrain_pipeline(os.getcwd())\n'
# BasicSR with our shims alone: the modules that hold the hooks are replaced by some that do nothing
WITHOUT_HOOKS = """
import sys, types
for name in ('hooks', 'planned_options'):
    nothing = types.ModuleType(f'mg_basicsr.host.patches.{name}')
    for function in ('yaml', 'torch', 'folders', 'prefetchers', 'models', 'data', 'logger', 'loader'):
        setattr(nothing, f'patch_{function}', lambda module: None)
    nothing.register = lambda module: None
    nothing.active = lambda: None
    sys.modules[nothing.__name__] = nothing
import mg_basicsr
"""
WAYS = {
    'train': ['-m', 'mg_basicsr', 'train'],
    'run': ['-m', 'mg_basicsr', 'run', 'plain.py'],
    'import': ['with_import.py'],
}
STAGES = [(3, 32), (4, 32), (6, 32), (3, 64), (4, 64), (6, 64)]


@pytest.fixture(scope='module')
def reference(trainer, new_project):
    """A run with a flow network."""
    project = new_project()
    project.options['train']['optim_g']['lr'] = '1e-3'  # as PyYAML reads a number without a point
    project.write()
    trainer(project, before=NARROW_FLOW)
    return project


@pytest.fixture(scope='module')
def small_reference(trainer, new_project):
    """The run that those of all ways have to equal; small, since they import everything themselves."""
    project = new_project()
    project.shrink(validation=True)
    project.write()
    trainer.train(project)
    return project


def test_log_shows_every_stage_in_turn(reference):
    lines = [line for line in reference.log().splitlines() if 'l_pix: ' in line]
    shapes = [(f'frames: {frames}', f'gt_size: {size}') for frames, size in STAGES for _ in range(2)]
    assert len(lines) == 12
    for n, (line, (frames, size)) in enumerate(zip(lines, shapes, strict=True)):
        assert f'iter:{n + 1:8,d}' in line and f'stage: {n // 2 + 1}/6' in line
        assert frames in line and size in line
    assert reference.log().count('multigrid stage') == 6


def test_rates_follow_the_plan_in_each_group(reference):
    """Restarted at every stage; the flow network keeps its eighth."""
    lines = [line for line in reference.log().splitlines() if 'l_pix: ' in line]
    rates = [[float(rate) for rate in line.split('lr:(')[1].split(',)')[0].split(',')] for line in lines]
    assert [main for main, _ in rates[::2]] == [1e-3] * 6
    assert rates[1][0] < 1e-3
    assert all(flow == pytest.approx(main / 8, rel=2e-3) for main, flow in rates)


# every way once, and workers; the reference has none. The rest of the table with `-m slow`
FAST = {('train', 2), ('run', 1), ('import', 1)}
TABLE = [
    pytest.param(way, workers, marks=() if (way, workers) in FAST else pytest.mark.slow)
    for way in WAYS
    for workers in (0, 1, 2)
]


@pytest.mark.parametrize(('way', 'workers'), TABLE)
def test_all_ways_and_workers_give_the_same_run(project, small_reference, way, workers):
    (project.root / 'plain.py').write_text(SCRIPT)
    (project.root / 'with_import.py').write_text('import mg_basicsr\n' + SCRIPT)
    project.shrink(validation=True, num_worker_per_gpu=workers)
    project.write()
    project.launch(*WAYS[way], '-opt', 'train.yml')
    assert project.losses() == small_reference.losses()
    assert same_weights(project.weights(), small_reference.weights())


def test_without_a_block_it_is_basicsrs_own_run(trainer, tmp_path):
    """Weights of `mg-basicsr train` equal those of BasicSR's own loop, with the same shims and no hook of ours."""
    write_clips(tmp_path / 'clips', {'001': 100}, shape=(64, 64))  # BasicSR's own class takes 100 frames for granted
    write_clips(tmp_path / 'clips/val', {'000': 2}, shape=(64, 64))
    (tmp_path / 'clips/meta.txt').write_text('001 100 (64,64,3)\n')
    ours, stock = (Project(tmp_path / name, tmp_path / 'clips') for name in ('ours', 'stock'))
    for project in (ours, stock):
        project.root.mkdir()
        project.options['train']['total_iter'] = 4
        project.write(block=None)
    trainer.train(ours)
    (stock.root / 'stock.py').write_text(WITHOUT_HOOKS + SCRIPT)
    stock.launch('stock.py', '-opt', 'train.yml')
    assert len(ours.losses()) == 4
    assert ours.losses() == stock.losses()
    assert same_weights(ours.weights(), stock.weights())
    told = '\n'.join(line for line in ours.log().splitlines() if 'multigrid: ' in line)
    assert told.count('multigrid: ') == 2 and 'multigrid: basicsr ' in told
    assert 'train.yml has no multigrid block, so BasicSR trains without a plan' in told


def test_conversion_in_the_workers_changes_nothing(trainer, project, reference):
    project.write({**BLOCK, 'uint8_transfer': False})
    trainer(project, before=NARROW_FLOW)
    assert project.losses() == reference.losses()


def test_block_changes_the_run(trainer, project, reference):
    """The comparison above can fail: another seed gives other weights."""
    project.options['manual_seed'] = 1
    project.write({**BLOCK})
    trainer(project, before=NARROW_FLOW)
    assert project.losses() != reference.losses()
