"""Checkpoints of test runs: copied as a kill would have left them, compared to the bit, and refused."""

from __future__ import annotations

import shutil
from typing import Any

import torch

from tests.helpers.project import Project, lines_of


def state(project: Project, iteration: int) -> dict[str, Any]:
    """The training state of an iteration."""
    return dict(torch.load(project.experiment / f'training_states/{iteration}.state', weights_only=True))


def copy_pair(source: Project, target: Project, *iterations: int) -> None:
    """What a run that was killed has left: its checkpoints of these iterations."""
    for folder, pattern in (('models', 'net_*_{}.pth'), ('training_states', '{}.state')):
        (target.experiment / folder).mkdir(parents=True, exist_ok=True)
        for iteration in iterations:
            for path in (source.experiment / folder).glob(pattern.format(iteration)):
                shutil.copy(path, target.experiment / folder)


def first_difference(first: Any, second: Any, path: str = '') -> str | None:
    """Where two nested structures differ, and in what; None if they are equal to the bit."""
    if type(first) is not type(second):
        return f'{path}: {type(first).__name__} and {type(second).__name__}'
    if isinstance(first, dict):
        if list(first) != list(second):
            return f'{path}: keys {list(first)} and {list(second)}'
        found = (first_difference(first[key], second[key], f'{path}/{key}') for key in first)
        return next((line for line in found if line), None)
    if isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return f'{path}: {len(first)} and {len(second)} items'
        found = (first_difference(a, b, f'{path}/{n}') for n, (a, b) in enumerate(zip(first, second, strict=True)))
        return next((line for line in found if line), None)
    same = torch.equal(first, second) if torch.is_tensor(first) else first == second
    return None if same else f'{path}: {first} and {second}'


def assert_same_end(project: Project, undisturbed: Project, last: int) -> None:
    """Weights, averages, optimisers, rates, best metrics, the files' hashes and everything else of the last state."""
    for name in sorted(path.name for path in (undisturbed.experiment / 'models').glob('*_latest.pth')):
        weights = [torch.load(p.experiment / 'models' / name, weights_only=True) for p in (project, undisturbed)]
        assert (found := first_difference(*weights)) is None, f'{name}{found}'
    assert (found := first_difference(state(project, last), state(undisturbed, last))) is None, found


def files_of(project: Project) -> list[str]:
    """The names of the networks and states that a run has saved."""
    folders = ('models', 'training_states')
    return sorted(path.name for folder in folders for path in (project.experiment / folder).iterdir())


def refused(output: str) -> list[str]:
    """The lines of an error: no traceback, three lines for a problem."""
    assert 'Traceback' not in output
    lines = lines_of(output.split('Disable distributed.')[-1])
    lines = [line for line in lines if not line.startswith(('Set pretrain', 'pretrain_network'))]
    return lines[-3:]
