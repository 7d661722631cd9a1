"""Trial of building the host's model; where that fails, of each of its parts, to find all problems at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from mg_basicsr.errors import Problem
from mg_basicsr.host.run import instead_of_active
from mg_basicsr.host.trial.blame import HOST_ERRORS, described, problems_of
from mg_basicsr.host.trial.train_loop import builder


def try_building(options: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """Build the model.

    Args:
        options: The host's options, which are not changed.

    Returns:
        The model, and no problem; or None, and the problems of its parts, or of the whole if the parts have none.
    """
    build_model = builder('models', 'model')
    if build_model is None:
        return None, []
    try:
        return build_model(copy.deepcopy(options)), []
    except HOST_ERRORS as error:  # of any kind: it is the host's own code
        whole, same = problems_of(error, options, 'model_type', 'build the model'), described(error)
    parts = [problem for option, build in _parts(options) for problem in _try(option, build, options)]
    told = ' '.join(problem.what for problem in parts)
    return None, parts if same in told else [*parts, *whole]


def _try(option: str, build: Callable[[], object], options: Mapping[str, Any]) -> list[Problem]:
    try:
        with instead_of_active(None):
            build()
        return []
    except HOST_ERRORS as error:  # of any kind: it is the host's own code
        return problems_of(error, options, option, f'build {option}')


def _parts(options: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the option and a function that makes it: networks, losses, optimisers with their scheduler."""
    from basicsr import archs, losses
    from basicsr.models.base_model import BaseModel

    train = copy.deepcopy(options['train'])
    for name, network in options.items():
        if name.startswith('network_') and isinstance(network, Mapping) and hasattr(archs, 'build_network'):
            yield name, partial(archs.build_network, copy.deepcopy(network))
    for name, section in train.items():
        if not isinstance(section, Mapping) or 'layer_weights' in section:  # VGG: large, and may be downloaded
            continue
        if name.endswith('_opt') and 'type' in section and hasattr(losses, 'build_loss'):
            yield f'train.{name}', partial(losses.build_loss, copy.deepcopy(section))
        elif name.startswith('optim_') and hasattr(BaseModel, 'get_optimizer'):
            yield f'train.{name}', partial(_optimizer, section)
    yield 'train.scheduler', partial(BaseModel.setup_schedulers, _holder(train))


def _optimizer(section: Mapping[str, Any]) -> torch.optim.Optimizer:
    from basicsr.models.base_model import BaseModel

    rest = {key: value for key, value in section.items() if key != 'type'}
    made: torch.optim.Optimizer = BaseModel.get_optimizer(
        SimpleNamespace(), section['type'], [nn.Parameter(torch.zeros(1))], **rest
    )
    return made


def _holder(train: dict[str, Any]) -> SimpleNamespace:
    """Return what BaseModel.setup_schedulers needs of a model."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-4)
    return SimpleNamespace(opt={'train': train}, optimizers=[optimizer], schedulers=[])
