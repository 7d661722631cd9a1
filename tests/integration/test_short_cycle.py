"""A short cycle changes the shape at every iteration: nothing is built anew, nothing grows, time follows the work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.helpers.project import Project
from tests.helpers.trainer import Trainer

pytestmark = pytest.mark.slow

# Notes after each step: processor time of the step, pixels fed, worker processes, and memory of them and of this one.
WATCH = """
import json, multiprocessing, os, time
from basicsr.models.video_recurrent_model import VideoRecurrentModel

def resident(pid):
    with open(f'/proc/{pid}/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20

step, notes = VideoRecurrentModel.optimize_parameters, open('notes.txt', 'w')

def watched(self, current_iter):
    before = time.process_time()
    step(self, current_iter)
    seconds = time.process_time() - before
    workers = sorted(child.pid for child in multiprocessing.active_children())
    memory = resident(os.getpid()), sum(map(resident, workers))
    print(json.dumps([seconds, self.gt.numel(), workers, *memory]), file=notes, flush=True)

VideoRecurrentModel.optimize_parameters = watched
"""


class Notes(NamedTuple):
    """What was noted, step by step; memory in MiB."""

    seconds: np.ndarray
    pixels: np.ndarray
    workers: list[tuple[int, ...]]
    main: np.ndarray
    others: np.ndarray


def train(trainer: Trainer, project: Project, block: Mapping[str, Any], iterations: int) -> Notes:
    project.shrink(gt_size=96, num_worker_per_gpu=2)
    project.options['network_g']['num_feat'] = 16
    options = project.options['train']
    options['total_iter'] = iterations
    options['scheduler']['periods'] = [iterations]
    project.options['logger'].update(print_freq=10**6, save_checkpoint_freq=10**6)
    project.write({**block, 'check': False})  # steps are counted and timed, those on trial not
    trainer(project, before=WATCH)
    lines = [json.loads(line) for line in (project.root / 'notes.txt').read_text().splitlines()]
    seconds, pixels, workers, main, others = zip(*lines, strict=True)
    return Notes(np.array(seconds), np.array(pixels), list(map(tuple, workers)), np.array(main), np.array(others))


def medians(notes: Notes) -> np.ndarray:
    """Processor seconds of a step for each of three shapes in turn, the first turns left out."""
    return np.array([np.median(notes.seconds[30 + turn :: 3]) for turn in range(3)])


def late_over_early(memory: Sequence[float]) -> float:
    """Memory in the last fifth of the run against that in the second, when every shape has been seen many times."""
    fifth = len(memory) // 5
    return float(np.median(memory[-fifth:]) / np.median(memory[fifth : 2 * fifth]))


def test_a_thousand_steps_over_three_shapes_of_equal_work(trainer: Trainer, project: Project) -> None:
    cycle = [[16, 6, 48], [4, 6, 96], [9, 6, 64]]  # clips x size^2 is the same
    block = {'preset': 'stages', 'max_clips': 16, 'stages': [{'iters': 1000, 'short_cycle': cycle}]}
    block['stages'].append({'iters': 1})  # the baseline's shape
    notes = train(trainer, project, block, 1001)
    pixels = notes.pixels[:1000]
    growth = late_over_early(notes.main[:1000]), late_over_early(notes.others[:1000])
    times = medians(notes)
    print(f'ms per step {(1000 * times).round(1)}; memory late / early: main {growth[0]:.4f}, workers {growth[1]:.4f}')
    assert len(notes.seconds) == 1001 and len(set(pixels)) == 1
    assert len(set(notes.workers[:990])) == 1 and len(notes.workers[0]) == 2  # the same two processes
    assert max(growth) < 1.02
    assert times.max() / times.min() < 1.5


def test_time_per_step_follows_the_work(trainer: Trainer, project: Project) -> None:
    cycle = [[4, 6, 48], [4, 6, 64], [4, 6, 96]]
    block = {'preset': 'stages', 'max_clips': 4, 'stages': [{'iters': 300, 'short_cycle': cycle}, {'iters': 1}]}
    notes = train(trainer, project, block, 301)
    times, work = medians(notes), notes.pixels[30:33]
    print(f'ms per step {(1000 * times).round(1)}; work {(work / work[0]).round(2)}')
    assert (work / work[0]).tolist() == pytest.approx([1, 16 / 9, 4])
    # a fixed cost, and the rest in proportion
    slope, fixed = np.polyfit(work, times, 1)
    assert times == pytest.approx(fixed + slope * work, rel=0.15)
    assert 0 <= fixed < 0.5 * times[0]
