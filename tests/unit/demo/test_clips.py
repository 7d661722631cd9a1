"""Clips made from photographs: layout, determinism, motion, and continuing after a kill."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mg_basicsr.demo import clips as synthetic
from mg_basicsr.demo.clips import make_clips
from mg_basicsr.demo.scene import (
    TRAIN_PHOTOGRAPHS,
    VAL_PHOTOGRAPHS,
    Image,
    Layer,
    Swing,
    load_photographs,
    random_scene,
    render,
)
from mg_basicsr.errors import DataError

SIZE = (48, 64)


def texture(seed: int, height: int = 150, width: int = 190) -> Image:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip((smooth - 127) * 4 + 127, 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def photographs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Textures in place of scikit-image's pictures, so that the tests need no scikit-image."""
    if 'needs_photographs' not in request.keywords:
        monkeypatch.setattr(synthetic, 'load_photographs', lambda names: {name: texture(len(name)) for name in names})


def shrink(gt: Image) -> Image:
    return np.asarray(cv2.resize(gt, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.uint8)


def make(root: Path, **changes: object) -> Path:
    arguments = {'clips': 2, 'frames': 3, 'size': SIZE, 'seed': 5, 'degrade': shrink} | changes
    return make_clips(root, **arguments)  # type: ignore[arg-type]


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def test_layout_is_that_of_reds(tmp_path: Path) -> None:
    meta = make(tmp_path, first_index=7)
    names = {f'{side}/{clip}/{frame:08d}.png' for side in ('GT', 'LQ') for clip in ('007', '008') for frame in range(3)}
    assert set(contents(tmp_path)) == names | {'meta_info.txt'}
    assert meta.read_text() == '007 3 (48,64,3)\n008 3 (48,64,3)\n'


def test_lq_is_the_degraded_gt(tmp_path: Path) -> None:
    make(tmp_path)
    for path in (tmp_path / 'GT').rglob('*.png'):
        gt, lq = cv2.imread(str(path)), cv2.imread(str(path).replace('/GT/', '/LQ/'))
        assert gt.shape == (*SIZE, 3)
        assert np.array_equal(lq, shrink(gt))


def test_same_seed_same_files_other_seed_other_frames(tmp_path: Path) -> None:
    for name, seed in (('a', 5), ('b', 5), ('c', 6)):
        make(tmp_path / name, seed=seed)
    a, b, c = (contents(tmp_path / name) for name in 'abc')
    assert a == b
    assert all(a[name] != c[name] for name in a if name.endswith('.png'))


def test_a_clip_does_not_depend_on_the_others(tmp_path: Path) -> None:
    make(tmp_path / 'both')
    make(tmp_path / 'second', clips=1, first_index=1)
    both, second = contents(tmp_path / 'both'), contents(tmp_path / 'second')
    assert all(both[name] == second[name] for name in second if name.endswith('.png'))


def test_no_frame_is_repeated(tmp_path: Path) -> None:
    make(tmp_path, clips=12, frames=2)  # more clips than photographs
    frames = [data for name, data in contents(tmp_path / 'GT').items()]
    assert len(set(frames)) == len(frames) == 24


def test_a_killed_call_is_continued(tmp_path: Path) -> None:
    make(tmp_path / 'whole')

    def killed(gt: Image) -> Image:
        killed.calls += 1  # type: ignore[attr-defined]
        if killed.calls == 5:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return shrink(gt)

    killed.calls = 0  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / 'killed', degrade=killed)
    assert not (tmp_path / 'killed' / 'GT' / '001').exists()  # only whole clips have a name
    assert not (tmp_path / 'killed' / 'meta_info.txt').exists()
    first = tmp_path / 'killed' / 'GT' / '000' / '00000000.png'
    made = first.stat().st_mtime_ns
    make(tmp_path / 'killed')
    assert first.stat().st_mtime_ns == made  # not made twice
    assert contents(tmp_path / 'killed') == contents(tmp_path / 'whole')


def test_a_clip_with_one_side_is_made_again(tmp_path: Path) -> None:
    make(tmp_path / 'whole')
    make(tmp_path / 'half')
    (tmp_path / 'half' / 'LQ' / '001').rename(tmp_path / 'half' / 'LQ' / '.001.part')
    (tmp_path / 'half' / 'GT' / '001' / '00000000.png').write_bytes(b'')
    make(tmp_path / 'half')
    assert contents(tmp_path / 'half') == contents(tmp_path / 'whole')


def test_progress_is_told_per_clip(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    make(tmp_path, clips=3, frames=1, progress=lambda done, clips: told.append((done, clips)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def layer(picture: Image, x: float, zoom: float = 1.0, angle: float = 0.0) -> Layer:
    height, width = picture.shape[:2]
    centre = Swing(width / 2 + x - 0.5), Swing(height / 2 - 0.5)
    return Layer(picture, None, *centre, Swing(0.5), Swing(0.5), Swing(angle), Swing(zoom))


@pytest.mark.parametrize('shift', [0.0, 0.25, 0.5, 1.0, -1.75])
def test_rendering_moves_by_fractions_of_a_pixel(shift: float) -> None:
    picture = texture(3)
    still, moved = (render([layer(picture, x)], 0, SIZE).astype(np.float64) for x in (0.0, shift))
    slope = np.gradient(still, axis=1)
    least_squares = float((slope * (moved - still)).sum() / (slope**2).sum())
    assert least_squares == pytest.approx(shift, abs=0.05 + 0.1 * abs(shift))


def test_rendering_at_zoom_one_shows_the_picture_itself() -> None:
    picture = texture(3)
    top, left = (150 - SIZE[0]) // 2, (190 - SIZE[1]) // 2
    expected = picture[top : top + SIZE[0], left : left + SIZE[1]].astype(np.float64)
    assert np.abs(render([layer(picture, 0.0)], 0, SIZE) - expected).mean() < 1.5


def test_rendering_is_free_of_aliases() -> None:
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[:, ::2] = 255  # one pixel black, one white: grey when two of them fall on one
    rendered = render([layer(stripes, 0.25, zoom=2.0)], 0, (40, 40))
    assert rendered.min() > 100 and rendered.max() < 155


def test_objects_move_against_the_background() -> None:
    pictures = [np.full((150, 190, 3), value, np.uint8) for value in (0, 255)]
    scene = random_scene(pictures, 0, SIZE, np.random.default_rng(1))
    masks = [render(scene, frame, SIZE)[..., 0] > 127 for frame in (0, 10)]
    assert all(0.02 < mask.mean() < 0.9 for mask in masks)
    assert (masks[0] != masks[1]).mean() > 0.02


@pytest.mark.parametrize('seed', range(6))
def test_motion_is_smooth_and_sub_pixel(seed: int) -> None:
    scene = random_scene([texture(1), texture(2)], seed, SIZE, np.random.default_rng(seed))
    corners = np.array([[0, 0, 1], [2 * SIZE[1], 0, 1], [0, 2 * SIZE[0], 1], [2 * SIZE[1], 2 * SIZE[0], 1]])
    camera = scene[0]
    seen = np.array([corners @ camera.matrix(frame, SIZE).T for frame in range(101)]) / camera.zoom.mean
    steps = np.hypot(*np.moveaxis(np.diff(seen, axis=0), -1, 0))
    assert 0.2 < steps.max() < 8  # pixels of the frame per frame
    assert np.median(np.abs(steps - np.rint(steps))) > 0.01


def test_missing_photographs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(DataError, match='scikit-image is not installed'):
        load_photographs(TRAIN_PHOTOGRAPHS)


def test_a_photograph_that_the_wheel_lacks_is_named() -> None:
    pytest.importorskip('skimage')
    with pytest.raises(DataError, match=r'no readable photograph nothing\.png'):
        load_photographs(['astronaut.png', 'nothing.png'])


def test_photographs_come_with_scikit_image() -> None:
    pytest.importorskip('skimage')
    pictures = load_photographs(TRAIN_PHOTOGRAPHS + VAL_PHOTOGRAPHS)
    assert len(pictures) == len(TRAIN_PHOTOGRAPHS) + len(VAL_PHOTOGRAPHS)  # none both trained on and validated on
    for picture in pictures.values():
        assert picture.dtype == np.uint8 and picture.ndim == 3 and min(picture.shape[:2]) >= 256
        assert np.abs(picture[..., 0].astype(int) - picture[..., 2]).mean() > 3  # has colour
