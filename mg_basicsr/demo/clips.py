"""Generator of clips in the layout of REDS, from photographs in the installed scikit-image; nothing is downloaded."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np

from mg_basicsr.atomic_files import PARTIAL, write_whole
from mg_basicsr.demo.scene import TRAIN_PHOTOGRAPHS, Image, load_photographs, random_scene, render
from mg_basicsr.errors import DataError, Problem

Degrade = Callable[[Image], Image]

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # a third larger than the default, four times as fast to write


def make_clips(
    root: Path,
    clips: int,
    frames: int,
    size: tuple[int, int],
    seed: int,
    degrade: Degrade,
    *,
    photographs: Sequence[str] = TRAIN_PHOTOGRAPHS,
    first_index: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write clips `first_index` .. `first_index + clips - 1` and the meta file that lists them.

    The layout is that of REDS: `GT/000/00000000.png`, the same under `LQ/`, and `meta_info.txt` with one line
    `000 100 (height,width,3)` per clip. A clip is a pure function of (seed, its index, the arguments). A folder of
    frames is written under a temporary name and then renamed, so that existing folders are whole and a call that was
    killed can be repeated, and continues.

    Args:
        root: Folder that receives `GT`, `LQ` and `meta_info.txt`; made if absent.
        clips: Number of clips, >= 1.
        frames: Frames of each clip, >= 1. BasicSR's own REDS datasets take every clip to have 100.
        size: GT height and width in pixels.
        seed: Seed of the whole set.
        degrade: Makes the LQ frame, (h, w, 3) uint8, from the GT frame, (height, width, 3) uint8; both BGR.
        photographs: Names of the pictures to film, see `load_photographs`.
        first_index: Index, and so the name, of the first clip.
        progress: Called with (clips done, clips) after each clip.

    Returns:
        Path of the meta file.

    Raises:
        DataError: The photographs are not on this machine, or a frame cannot be written.
    """
    indices = range(first_index, first_index + clips)
    make_frames(root, indices, frames, size, seed, degrade, photographs=photographs, progress=progress)
    meta = root / 'meta_info.txt'
    lines = [f'{index:03d} {frames} ({size[0]},{size[1]},3)\n' for index in indices]
    write_whole(meta, ''.join(lines))
    return meta


def make_frames(
    root: Path,
    indices: Sequence[int],
    frames: int,
    size: tuple[int, int],
    seed: int,
    degrade: Degrade,
    *,
    photographs: Sequence[str] = TRAIN_PHOTOGRAPHS,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the frames of some clips, without a list of them. Several processes may write those of one set.

    A clip that another process makes at this moment is waited for.

    Args:
        root: Folder that receives `GT` and `LQ`; made if absent.
        indices: Indices of the clips.
        frames: Frames of each clip, >= 1.
        size: GT height and width in pixels.
        seed: Seed of the whole set.
        degrade: Makes the LQ frame; see `make_clips`.
        photographs: Names of the pictures to film, see `load_photographs`.
        progress: Called with (clips done, clips) after each clip.

    Raises:
        DataError: The photographs are not on this machine, or a frame cannot be written.
    """
    pictures = list(load_photographs(photographs).values())
    for done, index in enumerate(indices, start=1):
        _make_clip(root, index, frames, size, seed, degrade, pictures)
        if progress is not None:
            progress(done, len(indices))


@contextmanager
def whole_folders(folders: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield an empty folder for each of some folders, which gets its name when the block ends without an error.

    Args:
        folders: The folders; existing ones are replaced.
    """
    partials = [_empty_folder(_partial(folder)) for folder in folders]
    yield partials
    for folder, partial in zip(folders, partials, strict=True):
        if folder.is_dir():  # killed between the two renames
            shutil.rmtree(folder)
        os.replace(partial, folder)


def _make_clip(
    root: Path, index: int, frames: int, size: tuple[int, int], seed: int, degrade: Degrade, pictures: Sequence[Image]
) -> None:
    folders = [root / side / f'{index:03d}' for side in ('GT', 'LQ')]
    if all(folder.is_dir() for folder in folders):
        return
    scene = random_scene(pictures, index, size, np.random.default_rng([seed, index]))
    last = _partial(folders[-1])  # of the two, the one that gets its name last
    with _locked(last):
        if all(folder.is_dir() for folder in folders):  # by another process meanwhile
            with suppress(OSError):
                last.rmdir()
            return
        with whole_folders(folders) as partials:
            for frame in range(frames):
                gt = render(scene, frame, size)
                for folder, image in zip(partials, (gt, degrade(gt)), strict=True):
                    write_png(folder / f'{frame:08d}.png', image)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a temporary folder against other processes; the system releases the lock when a process ends.

    The lock is that of the folder itself and stays with it when it is renamed.
    """
    descriptor = -1
    while descriptor < 0:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # renamed by another process in this moment
            descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # file systems without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _partial(folder: Path) -> Path:
    return folder.with_name(f'.{folder.name}{PARTIAL}')


def _empty_folder(folder: Path) -> Path:
    """Make a folder, or remove what is in it: a lock of the folder itself stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return folder


def write_png(path: Path, image: Image) -> None:
    """Write a frame.

    Args:
        path: The file.
        image: uint8 (h, w, 3), BGR.

    Raises:
        DataError: It cannot be written.
    """
    if not cv2.imwrite(str(path), image, _PNG):
        raise DataError(Problem(str(path), 'cannot be written', remedy='free some space, or choose another folder'))
