"""Sample frames of experiments side by side: the same validation image, as each saved it last."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mg_basicsr.report.experiment import Experiment

FOLDER = 'visualization'  # where BasicSR saves images
MOST = 3  # images in a report
EDGE = 256  # pixels of the square that is shown


def sample_frames(experiments: Sequence[Experiment]) -> list[tuple[str, list[str]]]:
    """Return (name, a PNG as a data URL of each experiment, '' where it has none) for some images.

    Images that most experiments have come first. All are cut to the square of the first one's with most detail.

    Args:
        experiments: The experiments.
    """
    saved = [saved_images(experiment.folder, experiment.name) for experiment in experiments]
    names = sorted({name for images in saved for name in images})
    names.sort(key=lambda name: -sum(name in images for images in saved))
    return [(name, _row([images.get(name) for images in saved])) for name in names[:MOST]]


def saved_images(folder: Path, name: str) -> dict[str, Path]:
    """Return the images of an experiment, the newest of each, by their path without iteration and experiment's name.

    BasicSR writes `visualization/<image>/<image>_<iteration>.png` in training, and
    `visualization/<set>/.../<image>_<name>.png` in a test.

    Args:
        folder: The experiment's folder.
        name: Its name.
    """
    found: dict[str, Path] = {}
    root = folder / FOLDER
    for path in sorted(root.rglob('*.png'), key=lambda path: path.stat().st_mtime):
        stem = re.sub(rf'_(\d+|{re.escape(name)})$', '', path.stem)
        found[path.relative_to(root).with_name(stem).as_posix()] = path
    return found


def most_detailed(image: NDArray[np.uint8], edge: int) -> tuple[int, int]:
    """Return top and left of the square with the largest mean absolute Laplacian.

    Args:
        image: uint8 (h, w, 3).
        edge: Edge of the square in pixels, at most height and width.
    """
    detail = np.abs(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_32F))
    sums = cv2.integral(detail)
    inside = sums[edge:, edge:] - sums[:-edge, edge:] - sums[edge:, :-edge] + sums[:-edge, :-edge]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(top), int(left)


def _row(paths: Sequence[Path | None]) -> list[str]:
    images = [None if path is None else cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths]
    first = next((image for image in images if image is not None), None)
    if first is None:
        return [''] * len(images)
    edge = min(EDGE, *first.shape[:2])
    top, left = most_detailed(np.asarray(first, np.uint8), edge)
    return ['' if image is None else _data_url(image[top : top + edge, left : left + edge]) for image in images]


def _data_url(image: NDArray[Any]) -> str:
    if image.size == 0:  # of another size than the first one's
        return ''
    return 'data:image/png;base64,' + base64.b64encode(cv2.imencode('.png', image)[1].tobytes()).decode()
