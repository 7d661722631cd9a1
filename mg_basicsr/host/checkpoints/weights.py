"""Files of weights that do not fit a network: what they have, and whether anything of them was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

RAW = 'weights without a key'  # a state_dict as PyTorch users save it; BasicSR puts it under `params`
STATE_KEYS = {'epoch', 'iter', 'optimizers'}
AVERAGES = {'exp_avg', 'exp_avg_sq', 'momentum_buffer', 'square_avg'}  # of the shape of their parameter
USUAL = 'put the options of the network back, name another file, or set path.strict_load_...: false'


def contents_of(path: Any) -> tuple[str, str]:
    """Return in a few words what a file of weights has, and a remedy; empty for the usual one.

    Args:
        path: The file.
    """
    saved = torch.load(path, map_location='cpu', weights_only=True)
    if not isinstance(saved, Mapping) or not saved:
        return (
            f'no weights, but {"nothing" if saved in ({}, None) else f"an object of type {type(saved).__name__}"}',
            '',
        )
    names = ', '.join(map(str, list(saved)[:3])) + (', ...' if len(saved) > 3 else '')
    if saved.keys() >= STATE_KEYS:
        name = f'net_g_{saved["iter"]}.pth'
        return 'no weights, but a training state', f'name the network that was saved with it: models/{name}'
    if _are_weights(saved):
        return f'{RAW} ({names})', ''
    keys = [str(key) for key, value in saved.items() if _are_weights(value)]
    if not keys:
        return f'no weights, but {names}', ''
    return names, f'set path.param_key_g: {keys[0]}' if 'params' not in keys else ''


def params_of(path: Any, key: Any) -> Any:
    """Return what BasicSR loads of a file under a key: that of `params` where the file lacks the key.

    Args:
        path: The file.
        key: Value of `path.param_key_...`; None for weights without a key.
    """
    saved = torch.load(path, map_location='cpu', weights_only=True)
    if key is None or not isinstance(saved, Mapping):
        return saved
    return saved.get(key if key in saved else 'params')


def nothing_loaded(network: torch.nn.Module, params: Any) -> str:
    """Return why nothing of a file was loaded without `strict_load`; empty if something was.

    Args:
        network: The network.
        params: What `params_of` returned.
    """
    own = network.state_dict()
    saved = {str(name).removeprefix('module.'): value for name, value in params.items()} if _is_mapping(params) else {}
    if any(name in own and getattr(value, 'shape', None) == own[name].shape for name, value in saved.items()):
        return ''
    ends = {name: next((full for full in saved if full.endswith(f'.{name}')), '') for name in own}
    prefixes = {full.removesuffix(name) for name, full in ends.items() if full}
    prefix = f': its names begin with {prefixes.pop()}' if len(prefixes) == 1 else ''
    return f'none of its {len(saved)} weights has the name and shape of one of the {len(own)} of the network{prefix}'


def not_finite(network: torch.nn.Module) -> str:
    """Return the name of a parameter that has values which are not finite; empty if none has."""
    return next((name for name, one in network.named_parameters() if not bool(torch.isfinite(one).all())), '')


def wrong_averages(model: Any) -> str:
    """Return which average of an optimiser does not have the shape of its parameter; empty if all have."""
    for optimizer in model.optimizers:
        for parameter, state in optimizer.state.items():
            for name in AVERAGES & state.keys():
                if torch.is_tensor(state[name]) and state[name].shape != parameter.shape:
                    return f'{name} of {tuple(state[name].shape)} for a parameter of {tuple(parameter.shape)}'
    return ''


def is_pretrained(option: str) -> bool:
    """Return whether an option names weights to begin with, whatever the file is called."""
    return option.startswith('path.pretrain_network')


def _are_weights(value: Any) -> bool:
    return _is_mapping(value) and bool(value) and all(isinstance(item, torch.Tensor) for item in value.values())


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)
