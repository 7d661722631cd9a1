"""Comparison of the ends of two runs of faults.py, to the bit."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from faults_project import Project


def first_difference(one: Any, other: Any, path: str = '') -> str:
    """Where two nests of dictionaries, lists, tensors and plain values differ first, to the bit; '' if nowhere."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f'{path}: keys {sorted(map(str, one.keys() ^ other.keys()))} on one side only'
        pairs = [(f'{path}.{key}', one[key], other[key]) for key in one]
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        pairs = [(f'{path}[{n}]', a, b) for n, (a, b) in enumerate(zip(one, other, strict=True))]
    elif torch.is_tensor(one) and torch.is_tensor(other):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f'{path}: {one.dtype} {tuple(one.shape)} and {other.dtype} {tuple(other.shape)}'
        bits = [tensor.reshape(-1).view(torch.uint8) for tensor in (one, other)]
        if torch.equal(*bits):
            return ''
        at = int((bits[0] != bits[1]).nonzero()[0]) // one.element_size()
        return f'{path}[{at}]: {one.reshape(-1)[at].item()!r} and {other.reshape(-1)[at].item()!r}'
    else:
        return '' if one == other else f'{path}: {one!r} and {other!r}'
    return next((found for found in itertools.starmap(lambda p, a, b: first_difference(a, b, p), pairs) if found), '')


def compare(project: Project, undisturbed: Project) -> str:
    """The first difference between the ends of two runs; '' if there is none."""
    states = (undisturbed.experiment / 'training_states').glob('*.state')
    last = max(int(path.stem) for path in states if path.stem.isdecimal())
    models = sorted((undisturbed.experiment / 'models').glob(f'net_*_{last}.pth'))
    models += sorted((undisturbed.experiment / 'models').glob('net_*_latest.pth'))
    for name in (*(f'models/{path.name}' for path in models), f'training_states/{last}.state'):
        found = [torch.load(run.experiment / name, weights_only=True) for run in (project, undisturbed)]
        if name.endswith('.state'):
            found = [{key: state[key] for key in ('iter', 'optimizers', 'schedulers')} for state in found]
        if difference := first_difference(*found):
            return f'{name}{difference}'
    return ''
