"""Cutting of a collated mini-batch into equal parts, for a step of several passes.

`default_collate` keeps the structure of a sample and puts the clips of the batch at its leaves: tensors get a first
axis, texts become lists of texts, and a list of k entries per clip becomes a list of k batches. So containers are
entered, and leaves are cut.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mg_basicsr.errors import Problem, TrainingError

Key = tuple[str, ...]

# What belongs to one clip where it is in a list, and to all clips where it is not.
_SINGLE = (str, bytes, bool, int, float, complex, type(None), np.generic)


def split_batch(batch: Mapping[str, Any], parts: int) -> list[dict[str, Any]]:
    """Cut a collated mini-batch into `parts` equal ones.

    Args:
        batch: As `default_collate` makes it of samples, nested to any depth: tensors and arrays (clips, ...), lists of
            `clips` texts. What cannot be per clip (a single number or text, a tensor without axes) goes into every
            part.
        parts: Number of parts, a divisor of `clips`.

    Returns:
        The parts, in the order of the clips; tensors are views.

    Raises:
        TrainingError: The number of clips is not a multiple of `parts`, or an entry has neither one value per clip nor
            a single one; its key and shape are named.
    """
    clips = _clips(batch)
    if clips is None or clips % parts:
        found = 'no tensor' if clips is None else f'{clips} clips'
        raise TrainingError(_problem('mini-batch', found, f'a number of clips that {parts} passes divide'))
    size = clips // parts
    return [
        {key: _cut(value, clips, slice(n * size, (n + 1) * size), (str(key),)) for key, value in batch.items()}
        for n in range(parts)
    ]


def _clips(batch: Mapping[str, Any]) -> int | None:
    """Return the number of clips: the first axis of `lq`, else of `gt`, else of the first tensor."""
    for value in (batch.get('lq'), batch.get('gt'), *batch.values()):
        if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim:
            return len(value)
    return None


def _cut(value: Any, clips: int, share: slice, key: Key) -> Any:
    if isinstance(value, _SINGLE):
        return value
    if isinstance(value, torch.Tensor) and (value.is_nested or value.layout is not torch.strided):
        raise TrainingError(_problem('.'.join(key), 'a nested or sparse tensor'))
    if isinstance(value, (torch.Tensor, np.ndarray)):
        if value.ndim and len(value) != clips:
            raise TrainingError(_problem('.'.join(key), f'shape {tuple(value.shape)} in a mini-batch of {clips} clips'))
        return value[share] if value.ndim else value
    if isinstance(value, Mapping):
        return _as(value, {name: _cut(item, clips, share, (*key, str(name))) for name, item in value.items()})
    if isinstance(value, (list, tuple)):
        return _as(value, _cut_sequence(value, clips, share, key))
    raise TrainingError(
        _problem('.'.join(key), f'an object of type {type(value).__name__} in a mini-batch of {clips} clips')
    )


def _cut_sequence(value: list[Any] | tuple[Any, ...], clips: int, share: slice, key: Key) -> list[Any]:
    named = hasattr(value, '_fields')  # a named tuple has fields of a clip, not clips
    if not named and value and all(isinstance(item, _SINGLE) for item in value):
        if len(value) != clips:
            raise TrainingError(_problem('.'.join(key), f'{len(value)} entries in a mini-batch of {clips} clips'))
        return list(value[share])
    try:
        return [_cut(item, clips, share, (*key, str(n))) for n, item in enumerate(value)]
    except TrainingError:
        if named or len(value) != clips:
            raise
        return list(value[share])  # not collated: one entry per clip, each of any kind and shape


def _as(original: Any, cut: Any) -> Any:
    """Return the entries `cut` in a container of the original's type; in a plain one where that type takes none."""
    if type(original) in (dict, list):
        return cut
    if hasattr(original, '_fields'):
        return type(original)(*cut)
    try:
        if isinstance(original, dict):
            twin = copy.copy(original)  # keeps a default factory, and attributes
            twin.update(cut)
            return twin
        return type(original)(cut)
    except TypeError:
        return dict(cut) if isinstance(original, Mapping) else list(cut)


def _problem(key: str, what: str, allowed: str = '') -> Problem:
    return Problem(
        f'datasets.train: {key}',
        f'{what}: a step of several passes cannot cut it',
        f'allowed: {allowed or "one entry per clip along the first axis, or one number or text for all"}',
        'let the dataset deliver it per clip or leave it out, or raise multigrid.max_clips: steps of one pass',
    )
