"""Measurement: does a loss reduce over the batch as its attribute `reduction` says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mg_basicsr.training.seeding import isolated_seed

CLIPS, SIZE = 4, 64  # of the images that a loss is tried with; networks in losses take no less
TOLERANCE = 1e-3  # relative, for losses that are networks in float32


def unlike_reduction(losses: Mapping[str, nn.Module], reduction: str, device: torch.device | str) -> str:
    """Return which loss does something else than a reduction, with the figures; '' if all do as it says.

    Each is evaluated for random images, and for the two halves of them.

    Args:
        losses: The losses, by attribute of the model.
        reduction: 'mean' or 'sum'.
        device: Device of the losses.
    """
    with torch.no_grad(), isolated_seed(0):
        # of different contrast: the largest error of all is then that of the second half
        contrast = torch.arange(1, CLIPS + 1, device=device).view(-1, 1, 1, 1) / CLIPS
        images = [torch.rand(CLIPS, 3, SIZE, SIZE, device=device) * contrast for _ in range(2)]
        for name, loss in losses.items():
            kind = type(loss).__name__
            found = _values(loss, *images)
            if found is None:
                return f'{name} ({kind}) could not be evaluated for images'
            whole, *halves = found
            expected = sum(halves) / (2 if reduction == 'mean' else 1)
            if not abs(whole - expected) <= TOLERANCE * abs(expected):
                return (
                    f'{name} ({kind}) says {reduction}, but is {whole:.6g} for {CLIPS} images, and '
                    f'{halves[0]:.6g} and {halves[1]:.6g} for the halves'
                )
    return ''


def _values(loss: nn.Module, output: torch.Tensor, target: torch.Tensor) -> list[float] | None:
    """Return a loss for all images and for both halves; None if it takes neither a target nor a label."""
    half = len(output) // 2
    parts = [slice(None), slice(None, half), slice(half, None)]
    for arguments in ([[output[part], target[part]] for part in parts], [[output[part], True] for part in parts]):
        try:
            return [_scalar(loss(*each)) for each in arguments]
        except Exception:  # of a class about which nothing is known: the other signature is tried
            continue
    return None


def _scalar(value: Any) -> float:
    """Return a loss as one number; perceptual losses give two, one of which may be None."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    return sum(float(part) for part in parts if part is not None)
