"""Sampling grids against BasicSR's own imresize, and in training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mg_basicsr.data.crops.crop import Flips, Pixels, Window
from mg_basicsr.data.crops.degradation import bd
from mg_basicsr.data.datasets.resampled_crops import read_span
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.building.video import read_video
from mg_basicsr.demo.scene import TRAIN_PHOTOGRAPHS, load_photographs, random_scene, render
from mg_basicsr.host.store_inputs import bicubic
from tests.helpers.grid_statistics import shift
from tests.helpers.project import BLOCK, NewProject, Project, lines_of, same_weights
from tests.helpers.trainer import Trainer

SIZE = (288, 360)
GRID = {**BLOCK, 'temporal_stride': True, 'spatial_stride': True, 'degradation': 'bicubic'}
VIDEO = Path(
    os.environ.get('MG_TEST_VIDEO') or Path(__file__).parents[2] / '../shared/data/big_buck_bunny_480p_30s.mp4'
)


class OneFrame:
    """A FrameSource of one frame, (h, w, 3)."""

    def __init__(self, frame: Pixels) -> None:
        self.frame = frame

    def read_gt(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        out[:] = window.cut(self.frame).transpose(2, 0, 1)

    def span(self, window: Window, size: int, scale: int, how: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """LQ and GT of a span, (h, w, 3)."""
        sequence = FrameSequence('001', 1, *self.frame.shape[:2])
        lq, gt = read_span(self, sequence, [0], window, size, scale, how)  # type: ignore[arg-type]
        return lq[0].transpose(1, 2, 0).astype(np.int64), gt[0].transpose(1, 2, 0).astype(np.int64)


@pytest.fixture(scope='module')
def frame() -> Pixels:
    """A frame that looks like a camera's, half of it covered with noise."""
    pictures = list(load_photographs(TRAIN_PHOTOGRAPHS).values())
    image = render(random_scene(pictures, 0, SIZE, np.random.default_rng(3)), 5, SIZE)
    image[:, SIZE[1] // 2 :] = np.random.default_rng(0).integers(0, 256, (SIZE[0], SIZE[1] // 2, 3))
    return image


def imresized(frame: Pixels, stride: float) -> Pixels:
    """The whole frame resampled by BasicSR."""
    from basicsr.utils.matlab_functions import imresize

    return np.asarray((imresize(frame.astype(np.float32) / 255, 1 / stride) * 255).round().clip(0, 255), np.uint8)


def places(size: int, small: tuple[int, ...]) -> list[tuple[int, int]]:
    """Corners of crops in the resampled frame: at the frame's corners, and inside."""
    bottom, right = small[0] - size, small[1] - size
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (12, 24)]


@pytest.mark.parametrize('scale', [2, 3, 4])
@pytest.mark.parametrize('stride', [1.5, 2.0, 3.0])
def test_bicubic_is_basicsrs_imresize_twice(frame: Pixels, stride: float, scale: int) -> None:
    """LQ and GT, at the frame's borders too: those of a whole frame, resampled and degraded, to a rounding."""
    import mg_basicsr  # noqa: F401 - so that BasicSR 1.4.2 can be imported

    frame = frame[:, :288]
    small = imresized(frame, stride)
    whole = bicubic(small, scale)
    size = 48
    for top, left in places(size, small.shape):
        window = Window(int(top * stride), int(left * stride), int(size * stride))
        lq, gt = OneFrame(frame).span(window, size, scale, 'bicubic')
        assert np.abs(gt - small[top : top + size, left : left + size]).max() <= 1
        rows, columns = (slice(start // scale, (start + size) // scale) for start in (top, left))
        assert np.abs(lq - whole[rows, columns]).max() <= 1
        assert (lq == whole[rows, columns]).mean() > 0.9


@pytest.mark.parametrize('stride', [1.5, 2.0])
def test_bd_is_the_stores(frame: Pixels, stride: float) -> None:
    """Where the kernel stays in the frame; at its edges one mirrors the edge's pixel and the other does not."""
    small = imresized(frame[:, :288], stride)
    whole, size = bd(small), 48
    for top, left in places(size, small.shape):
        window = Window(int(top * stride), int(left * stride), int(size * stride))
        lq, _ = OneFrame(frame[:, :288]).span(window, size, 4, 'bd')
        difference = np.abs(lq - whole[top // 4 : top // 4 + 12, left // 4 : left // 4 + 12])
        inside = difference[2 if top == 0 else 0 : -1, 2 if left == 0 else 0 : -1]
        assert inside.max() <= 1


Make = Callable[..., Project]


@pytest.fixture(scope='module')
def make(new_project: NewProject) -> Make:
    """Makes a small project, with a checkpoint in the middle of a stage."""

    def make(block: dict[str, Any] = GRID, **train_set: Any) -> Project:
        project = new_project()
        project.shrink(**train_set)
        project.options['logger']['save_checkpoint_freq'] = 5
        project.write(block)
        return project

    return make


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, make: Make) -> Project:
    project = make()
    trainer(project)
    return project


@pytest.mark.parametrize('workers', [1, 2])
def test_any_number_of_workers(trainer: Trainer, make: Make, undisturbed: Project, workers: int) -> None:
    project = make(num_worker_per_gpu=workers)
    trainer(project)
    assert len(project.losses()) == 12 and project.losses() == undisturbed.losses()
    assert same_weights(project.weights(), undisturbed.weights())


def test_a_resumed_run_draws_the_same_grids(trainer: Trainer, make: Make, undisturbed: Project) -> None:
    project = make(num_worker_per_gpu=1)
    for name in ('models/net_g_5.pth', 'training_states/5.state'):
        (project.experiment / name).parent.mkdir(parents=True)
        shutil.copy(undisturbed.experiment / name, project.experiment / name)
    trainer(project, '--auto_resume')
    assert project.losses() == undisturbed.losses()[5:]
    assert same_weights(project.weights(), undisturbed.weights())


def test_off_is_as_without_the_keys(trainer: Trainer, make: Make, undisturbed: Project) -> None:
    plain, off = make(BLOCK), make({**GRID, 'temporal_stride': False, 'spatial_stride': False})
    trainer(plain)
    trainer(off)
    assert plain.losses() == off.losses()
    assert plain.losses()[0] != undisturbed.losses()[0]


def test_a_store_tells_how_its_lq_was_made(trainer: Trainer, make: Make) -> None:
    """The store's LQ frames are made by bicubic, and so are those of larger spans; folders told so give the same."""
    keys = {key: GRID[key] for key in GRID if key != 'degradation'}
    told, stored = make(), make({**keys, 'store': 'the_store'})
    train_set = stored.options['datasets']['train']
    command = ['-m', 'mg_basicsr', 'prepare', '--gt', train_set['dataroot_gt'], '--degradation', 'bicubic']
    trainer.launch(stored, *command, '-o', 'the_store', '--workers', '1')
    for project in (told, stored):
        project.options['datasets']['train']['meta_info_file'] = str(stored.root / 'the_store/meta_info.txt')
    stored.write({**keys, 'store': 'the_store'})
    lq = told.root / 'LQ'
    for path in sorted(Path(train_set['dataroot_gt']).rglob('*.png')):
        target = lq / path.relative_to(train_set['dataroot_gt'])
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), bicubic(np.asarray(cv2.imread(str(path)), np.uint8), 4))
    told.options['datasets']['train']['dataroot_lq'] = str(lq)
    told.write(GRID)
    trainer(told)
    trainer(stored)
    assert told.losses() == stored.losses()
    assert same_weights(told.weights(), stored.weights())


def test_refused_before_anything_is_written(trainer: Trainer, make: Make) -> None:
    project = make({key: GRID[key] for key in GRID if key != 'degradation'})
    output = lines_of(trainer(project, code=2))
    assert output[-3].startswith('multigrid.spatial_stride: true, but how LQ was made from GT is not known for ')
    assert 'bicubic or bd' in output[-2] and 'multigrid.degradation' in output[-1]
    assert not project.experiment.exists()


@pytest.mark.slow
def test_real_video_stays_aligned() -> None:
    """By phase correlation on a real video, against area averages: GT with its span, and LQ with its GT."""
    if not VIDEO.is_file():
        pytest.skip(f'no video at {VIDEO}: set MG_TEST_VIDEO')
    rng = np.random.default_rng(0)
    found = []
    for number, image in enumerate(read_video(str(VIDEO), 30)):
        if number % 10 or number > 490:
            continue
        source = OneFrame(image[:, :852])
        for _ in range(4):
            span = int(rng.integers(33, 64)) * 4
            window = Window(int(rng.integers(480 - span)) // 4 * 4, int(rng.integers(852 - span)) // 4 * 4, span)
            lq, gt = (side.astype(np.uint8) for side in source.span(window, 128, 4, 'bicubic'))
            reference = cv2.resize(window.cut(source.frame), (128, 128), interpolation=cv2.INTER_AREA)
            small = cv2.resize(gt, (32, 32), interpolation=cv2.INTER_AREA)
            if small.std() > 20:
                pairs = ((reference, gt), (small, lq))
                found.append(sum((shift(*(side.transpose(2, 0, 1) for side in pair)) for pair in pairs), ()))
    mean, most = np.mean(found, axis=0), np.quantile(np.abs(found), 0.9, axis=0)
    print(f'{len(found)} crops, GT and LQ x, y: mean shift {mean.round(4)} pixels, nine tenths below {most.round(3)}')
    assert len(found) > 50
    assert np.abs(mean).max() < 0.03 and most.max() < 0.15
