"""Small data sets in the layouts that repositories read. Each function writes one into an empty folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FLAT = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def texture(seed: int, height: int, width: int) -> Image:
    """A smooth random image."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.asarray(cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX), np.uint8)  # type: ignore[call-overload]


def write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image, FLAT)


def write_pair(root: Path, name: str, image: Image, scale: int = 4, gt: str = 'GT', lq: str = 'LQ') -> None:
    """A GT image and its LQ of a scale."""
    write(root / gt / name, image)
    height, width = image.shape[:2]
    write(root / lq / name, cv2.resize(image, (width // scale, height // scale), interpolation=cv2.INTER_AREA))


def drift(seed: int, frames: int, height: int, width: int) -> list[Image]:
    """A clip: a texture that moves by a pixel per frame."""
    large = texture(seed, height + frames, width + frames)
    return [np.ascontiguousarray(large[n : n + height, n : n + width]) for n in range(frames)]


def reds(root: Path, size: int = 96, scale: int = 4, clips: int = 2) -> None:
    """Clips of 100 frames, as BasicSR's own classes assume, with a list."""
    for number in range(1, clips + 1):
        for n, frame in enumerate(drift(number, 100, size, size)):
            write_pair(root, f'{number:03d}/{n:08d}.png', frame, scale)
    lines = [f'{number:03d} 100 ({size},{size},3)\n' for number in range(1, clips + 1)]
    (root / 'meta.txt').write_text(''.join(lines))


def reds_wide(root: Path) -> None:
    """Clips for networks that want LQ frames of 64 pixels or more."""
    reds(root, size=272, clips=1)


def vimeo(root: Path, size: int = 96) -> None:
    """Septuplets, with a list."""
    names = [f'00001/{number:04d}' for number in range(1, 5)]
    for seed, name in enumerate(names):
        for n, frame in enumerate(drift(seed, 7, size, size), 1):
            write_pair(root, f'{name}/im{n}.png', frame)
    (root / 'meta.txt').write_text(''.join(f'{name} 7 ({size},{size},3)\n' for name in names))


def images(root: Path, scale: int = 4, size: int = 144) -> None:
    """Pairs of images, with a list."""
    for number in range(6):
        write_pair(root, f'{number:04d}.png', texture(number, size, size), scale)
    (root / 'meta.txt').write_text(''.join(f'{number:04d}.png ({size},{size},3)\n' for number in range(6)))
    (root / 'paths.txt').write_text(''.join(f'{root}/GT/{number:04d}.png\n' for number in range(6)))
    (root / 'names.txt').write_text(''.join(f'{number:04d}.png\n' for number in range(6)))


def images_x1(root: Path) -> None:
    """Pairs of images of one size: restoration."""
    images(root, scale=1)


def images_x2(root: Path) -> None:
    """Pairs of images at scale 2."""
    images(root, scale=2)


def faces(root: Path) -> None:
    """Images that are read whole, without crops."""
    images(root, scale=1, size=128)


def voxels(root: Path, size: int = 96) -> None:
    """Blurred and sharp images of one size, with the grid of an event camera for each."""
    for n in range(6):
        write_pair(root, f'one_{n:05d}.png', texture(n, size, size), scale=1, gt='sharp', lq='blur')
        (root / 'voxel').mkdir(exist_ok=True)
        noise = np.random.default_rng(n).normal(size=(size, size, 6)).astype(np.float32)
        np.savez(root / 'voxel' / f'one_{n:05d}.npz', voxel=noise)


def gopro(root: Path, size: int = 96) -> None:
    """Clips of one size of different lengths, named by six digits: deblurring."""
    lengths = {'GOPR0001': 14, 'GOPR0002': 9}
    for seed, (name, frames) in enumerate(lengths.items()):
        for n, frame in enumerate(drift(seed, frames, size, size)):
            write_pair(root, f'{name}/{n:06d}.png', frame, scale=1)
    (root / 'meta.txt').write_text(''.join(f'{name} {n} ({size},{size},3)\n' for name, n in lengths.items()))


def events(root: Path, scale: int = 2, size: int = 96) -> None:
    """Clips in HDF5, LQ with a grid of events between its frames, and a list."""
    import h5py

    for side in ('GT', 'LQ'):
        (root / side).mkdir(parents=True)
    for seed, name in enumerate(('one.h5', 'two.h5')):
        frames = drift(seed, 12, size, size)
        edge = size // scale
        noise = np.random.default_rng(seed).normal(size=(len(frames), 3, edge, edge)).astype(np.float32)
        with h5py.File(root / 'GT' / name, 'w') as gt, h5py.File(root / 'LQ' / name, 'w') as lq:
            for n, frame in enumerate(frames):
                gt[f'images/{n:06d}'] = frame
                lq[f'images/{n:06d}'] = cv2.resize(frame, (edge, edge), interpolation=cv2.INTER_AREA)
                lq[f'voxels/{n:06d}'] = noise[n]
    (root / 'meta.txt').write_text('one.h5 12\ntwo.h5 12\n')


def events_x4(root: Path) -> None:
    """The same at scale 4."""
    events(root, scale=4)
