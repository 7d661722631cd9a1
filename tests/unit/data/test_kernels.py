"""The compiled kernels: as the readers in NumPy and torch, and no argument makes them leave their buffers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mg_basicsr.data.crops import pixels
from mg_basicsr.data.crops.crop import Window
from mg_basicsr.data.kernels import VARIABLE, compiled
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.clip_file import ClipFile, CropRead, Run
from mg_basicsr.data.store.layout import Geometry
from mg_basicsr.data.store.raw_clip import MOST_CROPS, MappedClip, RawClip

KERNEL = pytest.mark.skipif(compiled is None, reason='there is no compiled kernel')
FULL = (0, 6, 48, 64, 20)  # a side: start, frames, height, width, tile
FILE = bytes(6 * 48 * 64 * 3)


@KERNEL
@pytest.mark.parametrize('seed', range(60))
def test_crops_are_those_of_numpy(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    scale = rng.choice([1, 2, 4])
    height, width = (scale * rng.randint(1, 40) for _ in range(2))
    geometry = Geometry(rng.randint(1, 9), height, width, rng.randint(1, 90), rng.randint(1, 50), scale)
    path = tmp_path / 'clip'
    path.write_bytes(np.random.default_rng(seed).bytes(geometry.bytes))
    sequence = FrameSequence('clip', *geometry[:3])
    clips = [RawClip(ClipFile(tmp_path, path, geometry.bytes), sequence, geometry)]
    clips.append(MappedClip(ClipFile(tmp_path, path, geometry.bytes), sequence, geometry, compiled))  # type: ignore
    found: list[list[Any]] = [[], []]
    for _ in range(rng.choice([1, 2, MOST_CROPS + 3])):
        side = rng.choice(geometry.sides())
        rows, columns = rng.randint(1, side.height), rng.randint(1, side.width)
        window = Window(rng.randint(0, side.height - rows), rng.randint(0, side.width - columns), rows, columns)
        count = rng.randint(1, side.frames)
        step = rng.choice([-1, 1]) * rng.randint(1, max(1, (side.frames - 1) // max(1, count - 1)))
        first = 0 if step > 0 else side.frames - 1
        upside_down = rng.random() < 0.5
        for crops in found:
            planes = np.zeros((count, 3, rows, columns), np.uint8)
            crops.append(CropRead(side, Run(first, step, count), window, planes, upside_down))
    for clip, crops in zip(clips, found, strict=True):
        clip.read(crops, cold=rng.random() < 0.5, shared=rng.random() < 0.5)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.planes, other.planes), one[:3]


@KERNEL
@pytest.mark.parametrize('upside_down', [False, True])
@pytest.mark.parametrize('columns', [301, 320, 1030])
def test_large_crops_for_another_process(tmp_path: Path, upside_down: bool, columns: int) -> None:
    """They go past the caches, wherever their memory begins."""
    geometry = Geometry(5, 330, 1100, 64, 32, 2)
    path = tmp_path / 'clip'
    path.write_bytes(np.random.default_rng(0).bytes(geometry.bytes))
    sequence = FrameSequence('clip', *geometry[:3])
    clip = MappedClip(ClipFile(tmp_path, path, geometry.bytes), sequence, geometry, compiled)  # type: ignore
    _, side = geometry.sides()
    window, shape = Window(13, 21, 300, columns), (4, 3, 300, columns)
    wanted = np.zeros(shape, np.uint8)
    clip.read([CropRead(side, Run(4, -1, 4), window, wanted, upside_down)], cold=False)
    for begin in range(17):
        memory = np.zeros(wanted.size + 64, np.uint8)
        planes = memory[begin : begin + wanted.size].reshape(shape)
        clip.read([CropRead(side, Run(4, -1, 4), window, planes, upside_down)], cold=False, shared=True)
        assert np.array_equal(planes, wanted)
        assert not memory[:begin].any() and not memory[begin + wanted.size :].any()


@KERNEL
@pytest.mark.parametrize(('side', 'run', 'window', 'shape'), [
    ((1, *FULL[1:]), (0, 1, 6), (0, 0, 48, 64), (6, 3, 48, 64)),  # the side ends behind the file
    ((-1, *FULL[1:]), (0, 1, 6), (0, 0, 48, 64), (6, 3, 48, 64)),
    ((0, 7, 48, 64, 20), (0, 1, 6), (0, 0, 48, 64), (6, 3, 48, 64)),
    (FULL, (1, 1, 6), (0, 0, 48, 64), (6, 3, 48, 64)),
    (FULL, (5, -1, 7), (0, 0, 48, 64), (7, 3, 48, 64)),
    (FULL, (0, 2**62, 3), (0, 0, 8, 8), (3, 3, 8, 8)),
    (FULL, (0, 1, 0), (0, 0, 8, 8), (0, 3, 8, 8)),
    (FULL, (0, 1, 1), (41, 0, 8, 8), (1, 3, 8, 8)),
    (FULL, (0, 1, 1), (0, 57, 8, 8), (1, 3, 8, 8)),
    (FULL, (0, 1, 1), (-1, 0, 8, 8), (1, 3, 8, 8)),
    (FULL, (0, 1, 1), (0, 0, 0, 8), (1, 3, 8, 8)),
    (FULL, (0, 1, 1), (0, 0, 8, 8), (1, 3, 8, 7)),
    (FULL, (0, 1, 1), (0, 0, 8, 8), (2, 3, 8, 8)),
    ((0, 6, 48, 64, 0), (0, 1, 1), (0, 0, 8, 8), (1, 3, 8, 8)),
    ((0, 6, 48, 64, -20), (0, 1, 1), (0, 0, 8, 8), (1, 3, 8, 8)),
    ((0, 2**62, 2**62, 2**62, 20), (0, 1, 1), (0, 0, 8, 8), (1, 3, 8, 8)),
])  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(side: Any, run: Any, window: Any, shape: Any) -> None:
    assert compiled is not None
    crop = (side, run, window, np.zeros(shape, np.uint8), False)
    with pytest.raises(ValueError, match='do not fit each other'):
        compiled.read_crops(FILE, [crop], False, False)


@KERNEL
@pytest.mark.parametrize('crop', [
    None, (), (FULL, (0, 1, 1)), (FULL, [0, 1, 1], (0, 0, 8, 8), np.zeros(192, np.uint8), False),
    (FULL, (0, 1, 1.0), (0, 0, 8, 8), np.zeros(192, np.uint8), False),
    (FULL, (0, 1, 1), (0, 0, 8, 8), b'x' * 192, False),
    (FULL, (0, 1, 1), (0, 0, 8, 8), np.zeros(384, np.uint8)[::2], False),
    (FULL, (0, 1, 2**70), (0, 0, 8, 8), np.zeros(192, np.uint8), False),
])  # fmt: skip
def test_other_types_are_refused(crop: Any) -> None:
    assert compiled is not None
    with pytest.raises((TypeError, ValueError, OverflowError, BufferError)):
        compiled.read_crops(FILE, [crop], False, False)
    with pytest.raises(TypeError):
        compiled.read_crops(FILE, [], False, False)


@KERNEL
@pytest.mark.parametrize('shape', [(256,), (1,), (0,), (2, 3, 700, 999), (3, 5, 7)])
def test_float32_is_that_of_numpy_and_torch(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    values = (torch.arange(int(np.prod(shape))) % 256).to(torch.uint8).reshape(shape)
    ours = pixels.to_float(values)
    monkeypatch.setattr(pixels, 'compiled', None)
    assert torch.equal(ours, pixels.to_float(values))
    assert np.array_equal(ours.numpy(), values.numpy().astype(np.float32) / 255.0)
    view = values.transpose(0, -1)
    assert torch.equal(pixels.to_float(view), ours.transpose(0, -1))


@KERNEL
def test_sizes_of_a_conversion_are_compared() -> None:
    assert compiled is not None
    for given, out in ((4, np.zeros(3, np.float32)), (4, np.zeros(4, np.float64)), (4, np.zeros(4, np.uint8))):
        with pytest.raises(ValueError, match='of one size'):
            compiled.pixels_to_float32(np.zeros(given, np.uint8), out)


def test_the_kernels_can_be_left_out() -> None:
    code = 'from mg_basicsr.data.kernels import compiled; print(compiled)'
    environment = {**os.environ, VARIABLE: '0'}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == 'None\n'
