"""The demo's picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mg_basicsr.demo.figure import Curve, make_strip, plot_demo, psnr

CURVES = [Curve('stock', [60, 120, 180], [24.5, 25.0, 25.5]), Curve('multigrid', [30, 60, 90], [24.4, 25.1, 25.5])]


def frames(height: int = 64, width: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """LQ and GT: flat but for a checkerboard in rows 32 .. 63 and columns 64 .. 95."""
    gt = np.full((height, width, 3), 100, np.uint8)
    gt[32:, 64:] += (np.indices((32, 32)).sum(0) % 2 * 80).astype(np.uint8)[: height - 32, :, None]
    return np.ascontiguousarray(gt[::4, ::4]), gt


def test_strip_shows_the_most_detailed_square() -> None:
    lq, gt = frames()
    strip = make_strip(lq, gt, {'ours': gt}, crop_size=32)
    assert [panel.label for panel in strip] == ['LQ', 'bicubic', 'ours', 'ground truth']
    assert all(panel.image.shape == (32, 32, 3) for panel in strip)
    assert np.array_equal(strip[2].image, gt[32:, 64:])
    assert np.array_equal(strip[3].image, gt[32:, 64:])
    assert np.array_equal(strip[0].image[::4, ::4], lq[8:, 16:])


def test_strip_scores_the_whole_frame() -> None:
    lq, gt = frames()
    worse = gt.copy()
    worse[:16] += 10  # outside the square shown
    _, bicubic, ours, last = make_strip(lq, gt, {'ours': worse}, crop_size=32)
    assert ours.psnr == pytest.approx(psnr(worse, gt)) == pytest.approx(10 * np.log10(255**2 / 25))
    assert bicubic.psnr == psnr(cv2.resize(lq, (96, 64), interpolation=cv2.INTER_CUBIC), gt)
    assert last.psnr is None


def test_square_fits_small_frames_and_the_scale() -> None:
    lq, gt = frames(height=36)
    assert make_strip(lq, gt, {}, crop_size=50)[-1].image.shape == (36, 36, 3)
    assert make_strip(lq, gt, {}, crop_size=30)[-1].image.shape == (28, 28, 3)


def test_psnr_of_equal_images_is_infinite() -> None:
    assert psnr(frames()[1], frames()[1]) == float('inf')


@pytest.mark.parametrize(
    ('curves', 'strips', 'taller_than_wide'),
    [(CURVES, 0, False), ([], 1, False), (CURVES, 1, False), (CURVES, 3, True)],
)
def test_writes_a_picture(tmp_path: Path, curves: list[Curve], strips: int, taller_than_wide: bool) -> None:
    rows = [make_strip(*frames(), {'stock': frames()[1], 'multigrid': frames()[1]})] * strips
    path = plot_demo(tmp_path / 'demo.png', curves, rows, bicubic_psnr=24.2)
    height, width = cv2.imread(str(path)).shape[:2]
    assert width > 1200
    assert (height > width) is taller_than_wide


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='neither curves nor strips'):
        plot_demo(tmp_path / 'demo.png', [], [])
    with pytest.raises(ValueError, match=r'\[4, 5\]'):
        strips = [make_strip(*frames(), {'a': frames()[1]}), make_strip(*frames(), dict.fromkeys('ab', frames()[1]))]
        plot_demo(tmp_path / 'demo.png', [], strips)
    assert not list(tmp_path.iterdir())
