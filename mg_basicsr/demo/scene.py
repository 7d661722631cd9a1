"""Renderer of moving scenes: a camera pans over one photograph, and cut-outs of others move in front of it.

Every quantity that moves (position, angle, zoom) is a `Swing`, a sine of the frame number. Motion is then smooth and
sub-pixel, never leaves the photograph, and a frame is a pure function of (scene, frame number).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mg_basicsr.errors import DataError, Problem

# Colour photographs inside scikit-image's wheel (the others that `skimage.data` names are downloads). The two lists
# share no picture, so that a validation clip shows nothing that was trained on.
TRAIN_PHOTOGRAPHS = ('astronaut.png', 'coffee.png', 'ihc.png', 'rocket.jpg', 'hubble_deep_field.jpg')
VAL_PHOTOGRAPHS = ('motorcycle_left.png', 'chelsea.png')

Image = NDArray[np.uint8]
Affine = NDArray[np.float64]

_SUPERSAMPLING = 2  # frames are rendered at this many samples per pixel and axis, then averaged


@dataclass(frozen=True, slots=True)
class Swing:
    """Quantity that changes as mean + amplitude * sin(rate * frame + phase).

    Attributes:
        mean: In the quantity's unit.
        amplitude: In the quantity's unit.
        rate: Radians per frame.
        phase: Radians.
    """

    mean: float
    amplitude: float = 0.0
    rate: float = 0.0  # radians per frame
    phase: float = 0.0

    def at(self, frame: int) -> float:
        """Return the value at a frame, from 0."""
        return self.mean + self.amplitude * math.sin(self.rate * frame + self.phase)


@dataclass(frozen=True, slots=True)
class Layer:
    """Picture and its place in the frame: the picture's point (x, y) is at the frame's point (u, v).

    Attributes:
        picture: (h, w, 3) uint8, BGR.
        alpha: (h, w) float32 in [0, 1], or None for a background, which is continued by its mirror image.
        x: Point of the picture, in its pixels.
        y: Likewise.
        u: Point of the frame, as a fraction of its width.
        v: As a fraction of its height.
        angle: Rotation in radians.
        zoom: Pixels of the picture per pixel of the frame, at most 2 (the supersampling keeps that free of aliases).
    """

    picture: Image
    alpha: NDArray[np.float32] | None
    x: Swing
    y: Swing
    u: Swing
    v: Swing
    angle: Swing
    zoom: Swing

    def matrix(self, frame: int, size: tuple[int, int]) -> Affine:
        """Return the affine map from sample positions of a frame to pixels of the picture: float64 (2, 3).

        Args:
            frame: Number of the frame, from 0.
            size: Height and width of the frame in pixels.
        """
        angle, zoom = self.angle.at(frame), self.zoom.at(frame)
        turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        centre = np.array([self.u.at(frame) * size[1], self.v.at(frame) * size[0]]) - 0.5
        half_sample = (0.5 / _SUPERSAMPLING - 0.5) - centre  # of sample 0, whose middle is not the pixel's
        offset = np.array([self.x.at(frame), self.y.at(frame)]) + turn @ half_sample
        return np.column_stack([turn / _SUPERSAMPLING, offset])


def load_photographs(names: Sequence[str]) -> dict[str, Image]:
    """Read pictures from the installed scikit-image's own files, as (h, w, 3) uint8 in BGR order.

    Raises:
        DataError: scikit-image is not installed, or its wheel lacks a picture.
    """
    spec = importlib.util.find_spec('skimage')
    if spec is None or spec.origin is None:
        what = 'scikit-image is not installed; the demonstration clips are made from the photographs in its wheel'
        raise DataError(Problem('', what, remedy='pip install scikit-image'))
    folder = Path(spec.origin).parent / 'data'
    pictures: dict[str, Any] = {name: cv2.imread(str(folder / name), cv2.IMREAD_COLOR) for name in names}
    missing = [name for name, picture in pictures.items() if picture is None]
    if missing:
        what = f'no readable photograph {", ".join(missing)}'
        raise DataError(
            Problem(f'{folder}', what, 'the files of scikit-image 0.22 and newer', 'pip install --upgrade scikit-image')
        )
    return pictures


def random_scene(
    photographs: Sequence[Image], index: int, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Draw a scene: a background layer, and two or three cut-outs of other photographs in front of it.

    Args:
        photographs: Pictures, (h, w, 3) uint8 each.
        index: Number of the background's picture, modulo the number of pictures.
        size: Height and width of frames in pixels.
        rng: Random numbers.
    """
    background = photographs[index % len(photographs)]
    others = [picture for picture in photographs if picture is not background] or [background]
    chosen = [others[int(rng.integers(len(others)))] for _ in range(int(rng.integers(2, 4)))]
    return (_camera(_mirrored(background, rng), size, rng), *(_cutout(picture, size, rng) for picture in chosen))


def render(scene: Sequence[Layer], frame: int, size: tuple[int, int]) -> Image:
    """Render a frame, anti-aliased by supersampling.

    Args:
        scene: Layers, the background first.
        frame: Number of the frame, from 0.
        size: Height and width in pixels.

    Returns:
        uint8 (height, width, 3), BGR.
    """
    width, height = size[1] * _SUPERSAMPLING, size[0] * _SUPERSAMPLING
    background, *objects = scene
    canvas = cv2.warpAffine(
        background.picture,
        background.matrix(frame, size),
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    for layer in objects:
        _paint(canvas, layer, layer.matrix(frame, size))
    return np.asarray(cv2.resize(canvas, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _paint(canvas: NDArray[Any], layer: Layer, matrix: Affine) -> None:
    """Blend a cut-out into the canvas; only the samples that it can cover are computed."""
    assert layer.alpha is not None
    height, width = layer.alpha.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    left, top = np.clip(np.floor(seen.min(axis=0)).astype(int), 0, canvas.shape[1::-1])
    right, bottom = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 1, 0, canvas.shape[1::-1])
    if left >= right or top >= bottom:
        return
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (left, top)
    window, flags = (int(right - left), int(bottom - top)), cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(layer.picture, shifted, window, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    alpha = cv2.warpAffine(layer.alpha, shifted, window, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)[..., None]
    region = canvas[top:bottom, left:right]
    region[:] = np.rint(region + alpha * (picture.astype(np.float32) - region))


def _camera(picture: Image, size: tuple[int, int], rng: np.random.Generator) -> Layer:
    """Draw a camera that stays within the picture and pans at up to 1 to 3.5 pixels of the frame per frame."""
    height, width = picture.shape[:2]
    widest = min(width / size[1], height / size[0])  # zoom at which the picture just fills the frame
    zoom = float(np.clip(rng.uniform(0.55, 0.85) * widest, 0.5, 1.6))
    room_x, room_y = (max(0.0, full - zoom * seen) / 2 for full, seen in ((width, size[1]), (height, size[0])))
    speed = zoom * rng.uniform(1.0, 3.5)
    reach_x, reach_y = room_x * rng.uniform(0.6, 1.0), room_y * rng.uniform(0.6, 1.0)
    return Layer(
        picture,
        None,
        x=_swing(width / 2, reach_x, speed, rng),
        y=_swing(height / 2, reach_y, speed * 0.7, rng),
        u=Swing(0.5),
        v=Swing(0.5),
        angle=_swing(0.0, rng.uniform(0.02, 0.1), 0.006, rng),
        zoom=_swing(zoom, 0.08 * zoom, 0.005, rng),
    )


def _cutout(picture: Image, size: tuple[int, int], rng: np.random.Generator) -> Layer:
    """Draw a soft-edged ellipse of the picture that moves in front of the background."""
    edge = min(size[0] // 2, *picture.shape[:2])
    top, left = max((_corner(picture, edge, rng) for _ in range(8)), key=lambda corner: _detail(picture, corner, edge))
    middle = (edge - 1) / 2
    span = np.linspace(-1, 1, edge, dtype=np.float32)
    distance = np.hypot(span[:, None] * rng.uniform(1.05, 1.6), span[None] * rng.uniform(1.05, 1.6))
    alpha = np.clip((1 - distance) * edge / 8, 0, 1).astype(np.float32)  # the edge fades over about four pixels
    u, v = (
        _swing(rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.35), rng.uniform(1, 4) / full, rng)
        for full in (size[1], size[0])
    )
    return Layer(
        _mirrored(picture[top : top + edge, left : left + edge], rng),
        alpha,
        x=Swing(middle),
        y=Swing(middle),
        u=u,
        v=v,
        angle=_swing(rng.uniform(-0.4, 0.4), rng.uniform(0.1, 0.5), 0.015, rng),
        zoom=_swing(rng.uniform(0.8, 1.2), 0.15, 0.008, rng),
    )


def _corner(picture: Image, edge: int, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(picture.shape[0] - edge + 1)), int(rng.integers(picture.shape[1] - edge + 1))


def _detail(picture: Image, corner: tuple[int, int], edge: int) -> float:
    """Return the deviation of the Laplacian, by which cut-outs of plain areas are avoided."""
    part = picture[corner[0] : corner[0] + edge, corner[1] : corner[1] + edge]
    return float(np.std(cv2.Laplacian(part, cv2.CV_32F)))


def _swing(mean: float, amplitude: float, speed: float, rng: np.random.Generator) -> Swing:
    """Return a swing whose fastest change per frame is `speed`; a period has at least 25 frames."""
    rate = min(speed / amplitude, 2 * math.pi / 25) if amplitude > 0 else 0.0
    return Swing(float(mean), float(amplitude), float(rate), float(rng.uniform(0, 2 * math.pi)))


def _mirrored(picture: Image, rng: np.random.Generator) -> Image:
    return np.ascontiguousarray(picture[:, ::-1] if rng.random() < 0.5 else picture)
