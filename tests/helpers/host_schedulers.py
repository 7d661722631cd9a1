"""BasicSR's own learning-rate schedulers, stepped as its train loop does."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@functools.cache
def basicsr_schedulers() -> ModuleType:
    """The file with the schedulers alone: importing the package would take seconds, and needs shims."""
    package = importlib.util.find_spec('basicsr')
    if package is None or package.origin is None:
        pytest.skip('basicsr is not installed')
    path = Path(package.origin).parent / 'models' / 'lr_scheduler.py'
    spec = importlib.util.spec_from_file_location('basicsr_lr_scheduler', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stepped(name: str, lr: float, iterations: int, **options: Any) -> list[float]:
    """The rates at BasicSR's iterations 1 .. n: one step of the scheduler before each but the first."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = getattr(basicsr_schedulers(), name)(optimizer, **options)
    rates = []
    for iteration in range(iterations):
        if iteration > 0:
            optimizer.step()
            scheduler.step()
        rates.append(optimizer.param_groups[0]['lr'])
    return rates
