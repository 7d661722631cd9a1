"""Files of weights that do not fit: sorted by what they have, and never loaded in name alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mg_basicsr.errors import TrainingError
from mg_basicsr.host.checkpoints.resuming import load_network

NET = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
GOOD = {name: value.clone() for name, value in NET.state_dict().items()}
STATE = {'epoch': 0, 'iter': 9, 'optimizers': [], 'schedulers': []}
RUN: Any = SimpleNamespace(
    file=SimpleNamespace(options={}), checkpoints=SimpleNamespace(resume_point=None, data={}), specification=None
)


def host_load(model: Any, net: Any, path: Any, strict: bool = True, param_key: str | None = 'params') -> None:
    """The lines of BaseModel.load_network."""
    loaded = torch.load(path, map_location='cpu', weights_only=True)
    if param_key is not None:
        if param_key not in loaded and 'params' in loaded:
            param_key = 'params'
        loaded = loaded[param_key]
    for key in [key for key in loaded.items() and loaded if key.startswith('module.')]:
        loaded[key[7:]] = loaded.pop(key)
    net.load_state_dict(loaded, strict=strict)


def load(path: Path, content: Any, *arguments: Any) -> None:
    torch.save(content, path)
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    load_network(RUN, host_load, SimpleNamespace(opt={'path': {}}), net, str(path), *arguments)


@pytest.mark.parametrize(
    ('content', 'arguments', 'told', 'remedy'),
    [
        (STATE, (), 'no weights, but a training state', 'models/net_g_9.pth'),
        (
            {'state_dict': GOOD, 'meta': 1},
            (),
            "no 'params' in it, which has state_dict, meta",
            'param_key_g: state_dict',
        ),
        ({'params': torch.ones(2)}, (), 'weights without a key (params)', 'path.param_key_g: ~'),
        ({'params': [1, 2]}, (), 'no weights, but params', ''),
        ({'params': None}, (), 'no weights, but params', ''),
        ({'params': {}}, (), 'no weights, but params', ''),
        ({'params': {}}, (False,), 'none of its 0 weights', 'nothing was loaded'),
        ({'params': {f'generator.{k}': v for k, v in GOOD.items()}}, (False,), 'its names begin with generator.', ''),
        ({'params': {'a': torch.ones(2)}}, (False,), 'none of its 1 weights', ''),
        ({'params': {k: v.new_zeros(7) for k, v in GOOD.items()}}, (True,), 'size mismatch', ''),
        ({'params': {k: v * float('nan') for k, v in GOOD.items()}}, (), 'values that are not finite', 'from before'),
        ({'params': {**GOOD, '0.bias': torch.full((2,), float('inf'))}}, (), '0.bias has values that are not', ''),
        (GOOD, (), 'weights without a key', 'path.param_key_g: ~'),
        (7, (), 'no weights, but an object of type int', ''),
    ],
)
def test_what_does_not_fit(tmp_path: Path, content: Any, arguments: tuple[Any, ...], told: str, remedy: str) -> None:
    with pytest.raises(TrainingError) as caught:
        load(tmp_path / 'x.pth', content, *arguments)
    (problem,) = caught.value.problems
    assert told in problem.what and remedy in problem.remedy and all(problem)
    assert 'weights_only' not in problem.remedy


@pytest.mark.parametrize(
    ('content', 'arguments'),
    [
        ({'params': GOOD}, ()),
        ({'params': {f'module.{k}': v for k, v in GOOD.items()}}, (False,)),
        ({'params': dict(list(GOOD.items())[:1])}, (False,)),
        ({'params': GOOD, 'params_ema': GOOD}, (True, 'params_ema')),
        ({'params': GOOD}, (True, 'params_ema')),
        (GOOD, (False, None)),
        ({'params': {k: v.half() for k, v in GOOD.items()}}, ()),
    ],
)
def test_what_fits(tmp_path: Path, content: Any, arguments: tuple[Any, ...]) -> None:
    load(tmp_path / 'x.pth', content, *arguments)
