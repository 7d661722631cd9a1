"""uint8 to float32, and flips."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from mg_basicsr.data.crops.crop import Flips, split_planes
from mg_basicsr.data.crops.pixels import flipped, to_float


def all_values() -> torch.Tensor:
    """Every value, as often as needed to reach vectorised code and its remainder."""
    return torch.arange(256, dtype=torch.uint8).repeat(9)[:-3].clone()


def basicsr_values(pixels: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(pixels.cpu().numpy().astype(np.float32) / 255.0)


def test_equal_to_basicsr_on_the_cpu() -> None:
    pixels = all_values()
    before = pixels.clone()
    assert torch.equal(to_float(pixels), basicsr_values(pixels))
    assert torch.equal(pixels, before)


@pytest.mark.gpu
def test_equal_to_basicsr_on_the_gpu() -> None:
    pixels = all_values().cuda()
    converted = to_float(pixels)
    assert converted.is_cuda
    assert torch.equal(converted.cpu(), basicsr_values(pixels))


def test_shape_and_type() -> None:
    converted = to_float(torch.zeros(2, 5, 3, 4, 4, dtype=torch.uint8))
    assert (converted.shape, converted.dtype) == ((2, 5, 3, 4, 4), torch.float32)


def test_what_is_float_already_is_refused() -> None:
    with pytest.raises(TypeError, match='float32'):
        to_float(torch.zeros(3))


@pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=pytest.mark.gpu)])
def test_flips_are_those_of_the_workers(device: str) -> None:
    """All eight, on a clip each."""
    images = np.random.default_rng(0).integers(0, 256, (8, 2, 6, 6, 3), np.uint8)
    flips = [Flips(*each) for each in product([False, True], repeat=3)]
    wanted = np.empty((8, 2, 3, 6, 6), np.uint8)
    unflipped = np.ascontiguousarray(images.transpose(0, 1, 4, 2, 3))
    for clip, out, flip in zip(images, wanted, flips, strict=True):
        for frame, planes in zip(clip, out, strict=True):
            split_planes(frame, flip, planes)
    found = flipped(torch.from_numpy(unflipped).to(device), torch.tensor([flip.code for flip in flips]))
    assert found.is_contiguous() and np.array_equal(found.cpu().numpy(), wanted)
