"""The difficulty of regions: the error of bicubic upscaling, kept beside the store, which it does not change."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mg_basicsr.data.crops.crop import Window
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.material import ArrayClip
from mg_basicsr.data.store.difficulty import DIFFICULTY, REGION, note_difficulty, read_difficulty
from mg_basicsr.data.store.format import Header, clip_path

SIZE = 144, 208  # 2.25 x 3.25 regions
FRAMES = 26


def clip(name: str, seed: int) -> ArrayClip:
    """Noise at the right, a smooth picture at the left, where upscaling is good."""
    rng = np.random.default_rng(seed)
    gt = np.empty((FRAMES, *SIZE, 3), np.uint8)
    gt[:] = np.linspace(0, 200, SIZE[0]).astype(np.uint8)[:, None, None]
    gt[:, :, 128:] = rng.integers(0, 256, (FRAMES, SIZE[0], SIZE[1] - 128, 3), np.uint8)
    return ArrayClip(name, gt, np.ascontiguousarray(gt[:, ::4, ::4]))


@pytest.fixture(params=[Header(4), Header(4, 'zstd', 4)], ids=['raw', 'zstd'])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    build(tmp_path / 'store', request.param, [clip('001', 1), clip('002', 2)])
    return tmp_path / 'store'


def test_errors_are_those_of_the_frames(store: Path) -> None:
    note_difficulty(store)
    found = read_difficulty(store)['001']
    assert found.region == REGION and found.errors.shape == (3, 4)
    material = clip('001', 1)
    squares = []
    for frame in (5, 15, 25):
        upscaled = cv2.resize(material.lq[frame], SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        squares.append((upscaled.astype(float) - material.gt[frame]) ** 2)
    mean = np.mean(squares, axis=(0, 3))
    for row in range(3):
        for column in range(4):
            part = mean[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
            assert found.errors[row, column] == pytest.approx(np.sqrt(part.mean()), abs=0.006)
    assert found.of(Window(0, 0, 64)) == pytest.approx(found.errors[0, 0])
    assert found.of(Window(70, 130, 40)) == pytest.approx(found.errors[1, 2])
    assert found.of(Window(0, 100, 64)) == pytest.approx(np.sqrt(np.mean(found.errors[0, 1:3] ** 2)))
    assert found.of(Window(0, 0, 64)) < 0.2 * found.of(Window(0, 144, 64))


def test_only_what_is_missing_is_measured(store: Path) -> None:
    note_difficulty(store)
    text = (store / DIFFICULTY).read_text()
    note_difficulty(store)
    assert (store / DIFFICULTY).read_text() == text
    clip_path(store, '002').unlink()
    build(store, Header(4) if '"raw"' in (store / 'store.json').read_text() else Header(4, 'zstd', 4),
          [clip('001', 1), clip('002', 3)])  # fmt: skip
    note_difficulty(store)
    lines = (store / DIFFICULTY).read_text().splitlines()
    assert [json.loads(line)['name'] for line in lines] == ['001', '002', '002']
    assert json.loads(lines[2])['errors'] != json.loads(lines[1])['errors']


@pytest.mark.parametrize('line', [
    '{', '[]', '{"name": "001"}', '{"name": "001", "sha256": "", "region": 0, "errors": [[1]]}',
    '{"name": "001", "sha256": "", "region": 64, "errors": [[NaN]]}',
    '{"name": "001", "sha256": "", "region": 64, "errors": [1, [2]]}',
])  # fmt: skip
def test_damaged_lines_note_nothing(store: Path, line: str) -> None:
    (store / DIFFICULTY).write_text(line + '\n')
    assert read_difficulty(store) == {}
    note_difficulty(store)
    assert sorted(read_difficulty(store)) == ['001', '002']


def test_a_store_without_it(store: Path) -> None:
    assert read_difficulty(store) == {}
