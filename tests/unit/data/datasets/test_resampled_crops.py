"""Spatial spans: their distribution and place, what is read for them, and that LQ and GT show the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mg_basicsr.data.crops.crop import Flips, Pixels, Window, flipped_planes
from mg_basicsr.data.crops.degradation import bd
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.resampled_crops import degrading, read_span
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.demo.clips import make_clips
from mg_basicsr.errors import ConfigError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, write_flows, write_reds
from tests.helpers.grid_statistics import assert_uniform, shift

FRAME = (144, 176)
NO_FLIPS = {'use_hflip': False, 'use_rot': False, 'val_partition': 'official'}


def parsed(root: Path, degradation: str | None = 'bicubic', **changes: Any) -> TrainSetOptions:
    return TrainSetOptions.parse(block(root, **changes), SCALE).replace(degradation=degradation)


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips that look like camera footage, with BD as their LQ."""
    root = tmp_path_factory.mktemp('clips')
    make_clips(root, 2, 5, FRAME, 1, bd).rename(root / 'meta.txt')
    return root


class OneFrame:
    """A FrameSource of one frame, (h, w, 3), that remembers what was read."""

    def __init__(self, frame: Pixels) -> None:
        self.frame = frame
        self.area = Window(0, 0, 0)

    def read_gt(
        self, sequence: FrameSequence, frames: Sequence[int], window: Window, flips: Flips, out: Pixels
    ) -> None:
        assert flips == Flips()
        self.area = window
        out[:] = window.cut(self.frame).transpose(2, 0, 1)

    def span(self, window: Window, size: int, how: str) -> tuple[Pixels, Pixels]:
        sequence = FrameSequence('001', 1, *self.frame.shape[:2])
        lq, gt = read_span(self, sequence, [0], window, size, SCALE, how)  # type: ignore[arg-type]
        return lq[0], gt[0]


@pytest.fixture(scope='module')
def frame(clips: Path) -> OneFrame:
    return OneFrame(np.asarray(cv2.imread(str(clips / 'GT/000/00000002.png')), np.uint8))


def planes_of(image: Any) -> Any:
    return np.asarray(image).transpose(2, 0, 1)


@pytest.mark.parametrize(('size', 'most', 'largest'), [(16, 48, 48), (16, 256, 48), (40, 44, 44), (8, 12, 12)])
def test_spans_are_uniform_up_to_the_frame(reds: Path, size: int, most: int, largest: int) -> None:
    """Every multiple of the scale alike, and each span anywhere in the frame of 48 x 64."""
    dataset = REDSRecurrent(parsed(reds))
    draws = [dataset.draw(SampleRequest(seed % 46, 3, size, seed, 1, most)) for seed in range(4000)]
    assert_uniform([draw.gt_window.size for draw in draws], range(size, largest + 1, SCALE))
    for draw in draws:
        assert draw.gt_window == draw.window.scaled(SCALE) and draw.gt_size == size
        assert draw.gt_window.top + draw.gt_window.size <= 48 and draw.gt_window.left + draw.gt_window.size <= 64
    narrowest = [draw.gt_window for draw in draws if draw.gt_window.size == largest]
    assert_uniform([window.left for window in narrowest], range(0, 64 - largest + 1, SCALE))


@pytest.mark.parametrize('kind', [REDSRecurrent, Vimeo90KRecurrent, REDS, Vimeo90K, PairedImage])
def test_every_kind_of_set(reds: Path, vimeo: Path, tmp_path: Path, kind: Any) -> None:
    """Shapes as asked for; for windows the frame that belongs to LQ's middle."""
    images = kind is PairedImage
    root = vimeo if kind in (Vimeo90K, Vimeo90KRecurrent) else reds
    changes = {'dataroot_gt': str(reds / 'GT/001'), 'dataroot_lq': str(reds / 'LQ/001'), 'meta_info_file': None}
    dataset = kind(parsed(root, num_frame=5, **(changes if images else {})))
    frames = 1 if images else 5
    sizes = set()
    for seed in range(20):
        request = SampleRequest(1, frames, 16, seed, 1, 32)
        sizes.add(dataset.draw(request).gt_window.size)
        lq, gt = (dataset[request][name] for name in ('lq', 'gt'))
        assert lq.dtype == gt.dtype == torch.uint8 and lq.is_contiguous() and gt.is_contiguous()
        assert lq.shape == ((3, 4, 4) if images else (5, 3, 4, 4))
        assert gt.shape == ((5, 3, 16, 16) if kind in (REDSRecurrent, Vimeo90KRecurrent) else (3, 16, 16))
        if kind in (REDS, Vimeo90K):  # red tells the frame
            assert lq[2, 0].float().mean() == pytest.approx(gt[0].float().mean(), abs=0.5)
    assert sizes == {16, 20, 24, 28, 32}


def test_flips_turn_the_crops(reds: Path) -> None:
    turned, straight = REDSRecurrent(parsed(reds)), REDSRecurrent(parsed(reds, use_hflip=False, use_rot=False))
    seen = set()
    for seed in range(60):
        request = SampleRequest(5, 2, 16, seed, 1, 48)
        flips = turned.draw(request).flips
        seen.add(flips)
        for name in ('lq', 'gt'):
            expected = flipped_planes(straight[request][name].numpy(), flips)
            assert np.array_equal(turned[request][name].numpy(), expected), (name, flips)
    assert len(seen) == 8


def test_mirrored_clips_end_as_they_begin(vimeo: Path) -> None:
    dataset = Vimeo90KRecurrent(parsed(vimeo, num_frame=-1, flip_sequence=True))
    for seed in range(10):
        sample = dataset[SampleRequest(0, 6, 16, seed, 2, 48)]
        for name in ('lq', 'gt'):
            assert torch.equal(sample[name], sample[name].flip(0)) and len(sample[name]) == 6


def area_mean(image: Pixels, edge: int) -> Any:
    return cv2.resize(image, (edge, edge), interpolation=cv2.INTER_AREA)


def around_first(image: Pixels, edge: int) -> Any:
    """Means around every fourth pixel from the first, which BD keeps, and not around the middle of four."""
    return cv2.blur(image, (5, 5))[::SCALE, ::SCALE]


@pytest.mark.parametrize(('degradation', 'reduced'), [('bicubic', area_mean), ('bd', around_first)])
def test_lq_and_gt_stay_aligned(clips: Path, degradation: str, reduced: Callable[[Pixels, int], Any]) -> None:
    """By phase correlation against other filters: GT with the span of the frame, LQ with the GT that it belongs to."""
    dataset = REDSRecurrent(parsed(clips, degradation, **NO_FLIPS))
    found = []
    for seed in range(120):
        request = SampleRequest(seed % 10, 1, 72, seed, 1, 144)
        draw, sample = dataset.draw(request), dataset[request]
        lq, gt = sample['lq'][0].numpy(), sample['gt'][0].numpy()
        image = cv2.imread(str(clips / f'GT/{draw.sequence.name}/{draw.gt_frames[0]:08d}.png'))[..., ::-1]
        span = area_mean(draw.gt_window.cut(image), 72)
        small = reduced(gt.transpose(1, 2, 0), 18)
        if small.std() < 12:
            continue  # plain sky has no place
        found.append((*shift(planes_of(span), gt), *shift(planes_of(small), lq)))
    assert len(found) > 60
    assert np.abs(np.mean(found, axis=0)).max() < 0.05
    assert np.quantile(np.abs(found), 0.9, axis=0).max() < 0.2  # a GT pixel is 0.25; small crops say little


@pytest.mark.parametrize('stride', [1.5, 2.0])
@pytest.mark.parametrize(('top', 'left'), [(0, 0), (12, 24), (24, 16), (24, 40)])
def test_borders_are_those_of_a_whole_frame(frame: OneFrame, stride: float, top: int, left: int) -> None:
    """A crop, cut from the whole frame after it has been resampled and degraded, is the crop that is made by itself."""
    small = [int(edge // stride) for edge in (144, 168)]
    size = 48
    whole_frame = OneFrame(frame.frame[:, :168])
    top, left = (min(place, edge - size) for place, edge in zip((top, left), small, strict=True))
    lq, gt = whole_frame.span(Window(int(top * stride), int(left * stride), int(size * stride)), size, 'bicubic')
    for part_top, part_left in itertools.product((0, 24), repeat=2):
        window = Window(int((top + part_top) * stride), int((left + part_left) * stride), int(24 * stride))
        part_lq, part_gt = whole_frame.span(window, 24, 'bicubic')
        assert np.array_equal(part_gt, gt[:, part_top : part_top + 24, part_left : part_left + 24])
        rows, columns = slice(part_top // 4, part_top // 4 + 6), slice(part_left // 4, part_left // 4 + 6)
        assert np.array_equal(part_lq, lq[:, rows, columns])


def test_bd_is_the_blur_of_the_resampled_frame(frame: OneFrame) -> None:
    margin, _ = degrading('bd', SCALE, 48)
    lq, _ = frame.span(Window(20, 24, 72), 48, 'bd')
    _, wide = frame.span(Window(8, 12, 96), 48 + 2 * margin, 'bd')  # the same stride, a margin more on each side
    expected = planes_of(bd(np.ascontiguousarray(wide.transpose(1, 2, 0))))[:, 2:-2, 2:-2]
    assert np.abs(lq.astype(int) - expected).max() <= 1
    assert (lq == expected).mean() > 0.95


@pytest.mark.parametrize(
    ('span', 'area'),
    [
        (Window(40, 60, 48), Window(21, 41, 86)),  # 24 samples, 8 more on each side, and the filter's reach
        (Window(0, 0, 48), Window(0, 0, 67)),
        (Window(96, 128, 48), Window(77, 109, 67)),
        (Window(0, 16, 144), Window(0, 0, 144, 176)),
    ],
)
def test_what_is_read_is_what_is_needed(frame: OneFrame, span: Window, area: Window) -> None:
    frame.span(span, 24, 'bicubic')
    read = frame.area
    assert (read.top, read.left, read.size, read.width) == (area.top, area.left, area.size, area.width)


def test_full_spans_are_the_crop_as_it_is(reds: Path) -> None:
    """Where the span drawn is the crop's own size, LQ and GT are the set's own, to the bit."""
    dataset = REDSRecurrent(parsed(reds))
    for seed in range(100):
        request = SampleRequest(5, 3, 16, seed, 1, 48)
        draw = dataset.draw(request)
        if draw.gt_window.size == 16:
            out = np.empty((3, 3, 4, 4), np.uint8)
            dataset.source.read_lq(draw.sequence, draw.lq_frames, draw.window, draw.flips, out)
            assert np.array_equal(dataset[request]['lq'].numpy(), out)
            return
    raise AssertionError('no such span drawn')


def test_an_unknown_degradation_is_refused(reds: Path) -> None:
    dataset: ClipDataset = REDSRecurrent(parsed(reds, None))
    with pytest.raises(ConfigError, match=r'multigrid\.spatial_stride') as caught:
        dataset[SampleRequest(5, 3, 16, 0, 1, 48)]
    assert all(caught.value.problems[0])
    dataset[SampleRequest(5, 3, 16, 0, 2, 16)]  # nothing is resampled


def test_flow_belongs_to_frames_as_they_are(tmp_path: Path) -> None:
    """Strides do not touch flow; spans are kept away from it at the start of a run."""
    root = write_reds(tmp_path, {'001': 9})
    write_flows(root, '001', 9, reach=2)
    sample = REDS(parsed(root, dataroot_flow=str(root / 'flow')))[SampleRequest(4, 5, 16, 0)]
    assert sample['flow'].shape == (5, 2, 4, 4)
