"""Lists of image pairs, from the sources of BasicSR's PairedImageDataset: a meta file, two LMDBs, or two folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import overload

from mg_basicsr.data.listing.folders import is_file, is_system_file
from mg_basicsr.data.listing.frame_names import ImageKeys, ImageNames
from mg_basicsr.data.listing.meta_files import read_image_names, read_lmdb_keys
from mg_basicsr.data.listing.sequences import FrameSequence, first_of
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.parsing.places import hint, visible
from mg_basicsr.train_set import BLOCK, TrainSetOptions, lmdb_problem

Size = tuple[int, int]
UNKNOWN: Size = (0, 0)


class ImageList(Sequence[FrameSequence]):
    """Images as sequences of one frame, each with a key. Sizes are 0 if the list does not contain them.

    Args:
        images: Name and (height, width) in pixels of each image.
    """

    def __init__(self, images: Iterable[tuple[str, Size]]) -> None:
        pairs = list(images)
        self._names = [name for name, _ in pairs]
        self._sizes = [size for _, size in pairs] if any(size != UNKNOWN for _, size in pairs) else None

    @property
    def sequences(self) -> Sequence[FrameSequence]:
        """Images as sequences."""
        return self

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> FrameSequence: ...
    @overload
    def __getitem__(self, index: slice) -> list[FrameSequence]: ...
    def __getitem__(self, index: int | slice) -> FrameSequence | list[FrameSequence]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        height, width = self._sizes[index] if self._sizes else UNKNOWN
        return FrameSequence(self._names[index], 1, height, width)

    def locate(self, index: int) -> tuple[FrameSequence, int]:
        """Return the image of a key, and 0, its only frame.

        Raises:
            IndexError: the index is outside 0 <= index < len(self).
        """
        if not 0 <= index < len(self):
            raise IndexError(f'index {index} of a set of {len(self)} images')
        return self[index], 0


def list_images(options: TrainSetOptions) -> tuple[ImageList, ImageNames | ImageKeys]:
    """Return the pairs of images, and the names of their files.

    Raises:
        ConfigError: a root or the meta file does not exist, or the name of an LMDB's folder does not end in .lmdb.
        DataError: nothing is listed, or an LQ or GT image has no partner.
    """
    names = ImageNames(options.filename_tmpl)
    if options.backend == 'lmdb':
        images = _from_lmdbs(options)
    elif options.meta_info_file:
        images = read_image_names(options.meta_info_file)
    else:
        images = _from_folders(options, names)
    if not images:
        listed = options.meta_info_file or options.dataroot_gt
        found, usual = hint(listed), f'check {BLOCK}.dataroot_gt and {BLOCK}.meta_info_file'
        if visible(listed):
            usual = f'{usual}: {BLOCK}.type is for images, which are in the folder itself'
        raise DataError(
            Problem(
                listed,
                found.why('lists no image') if os.path.isdir(listed) else 'lists no image',
                'allowed: at least one',
                found.advice(usual),
            )
        )
    return ImageList(images), ImageKeys() if options.backend == 'lmdb' else names


def _from_lmdbs(options: TrainSetOptions) -> list[tuple[str, Size]]:
    """Return the images of two LMDBs.

    Raises:
        ConfigError: a name does not end in .lmdb, or the LMDB has no meta_info.txt.
        DataError: the two have different keys.
    """
    listed = []
    for key in ('dataroot_lq', 'dataroot_gt'):
        root = getattr(options, key)
        if not root.endswith('.lmdb'):
            raise ConfigError(lmdb_problem(key, root))
        listed.append(read_lmdb_keys(os.path.join(root, 'meta_info.txt'), f'{BLOCK}.{key}', until_dot=True))
    lq, gt = listed
    _check_pairs(options, lq.keys() ^ gt.keys(), 'is a key of only one of the two LMDBs', 'dataroot_lq')
    return sorted(gt.items())


def _from_folders(options: TrainSetOptions, names: ImageNames) -> list[tuple[str, Size]]:
    """Return the images of two folders."""
    # Sorted, so that an index is the same image on all ranks; BasicSR uses the order of the file system.
    gt = sorted(_files(options.dataroot_gt, 'dataroot_gt'))
    lq = set(_files(options.dataroot_lq, 'dataroot_lq'))
    unpaired = [name for name in gt if names.lq(name, 0) not in lq]
    wrong = f'has no LQ image{_named_otherwise(unpaired[0], names, lq)}' if unpaired else ''
    _check_pairs(options, unpaired, wrong, 'dataroot_lq')
    _check_pairs(options, lq - {names.lq(name, 0) for name in gt}, 'has no GT image of its name', 'dataroot_gt')
    return [(name, UNKNOWN) for name in gt]


def _named_otherwise(name: str, names: ImageNames, lq: set[str]) -> str:
    """Return which name was looked for in place of that of a GT image, and which one there is."""
    stem = os.path.splitext(name)[0]
    alike = sorted(other for other in lq if other.startswith(stem))
    looked_for = names.lq(name, 0)
    told = ' of its name' if looked_for == name else f' {looked_for}'
    if not alike:
        return told
    there, extension = os.path.splitext(alike[0])
    if extension != os.path.splitext(name)[1]:
        return f'{told}, but there is {alike[0]}: LQ images must have the extension of their GT image'
    return f'{told}, but there is {alike[0]}, which filename_tmpl: {{}}{there.removeprefix(stem)} would find'


def _files(root: str, key: str) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return [entry.name for entry in entries if not is_system_file(entry.name) and is_file(entry)]
    except OSError as error:
        raise ConfigError(
            Problem(f'{BLOCK}.{key}', f'{root} cannot be listed: {error.strerror}', 'allowed: a folder of images')
        ) from None


def _check_pairs(options: TrainSetOptions, single: Iterable[str], wrong: str, key: str) -> None:
    problems = [
        Problem(
            f'{BLOCK}.{key}',
            f'{name} {wrong}',
            f'allowed: pairs of images in {options.dataroot_lq} and {options.dataroot_gt}',
            f'check {BLOCK}.filename_tmpl, or restore the other image',
        )
        for name in sorted(single)
    ]
    if problems:
        raise DataError(*first_of(problems, 'such images'))
