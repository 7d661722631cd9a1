"""What a BasicSR `datasets.train` block says about a training set, checked once and typed.

Names and defaults are BasicSR's (docs/DatasetPreparation.md and the classes in basicsr/data). Keys that only the host
reads (name, type, num_worker_per_gpu, ...) are left alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mg_basicsr.errors import ConfigError, Problem

BLOCK = 'datasets.train'
PARTITIONS = ('REDS4', 'official')
BACKENDS = ('disk', 'lmdb', 'store')


@dataclass(frozen=True, slots=True)
class TrainSetOptions:
    """Options of one training set.

    Attributes:
        dataroot_gt, dataroot_lq: Folders of PNGs, or LMDB folders.
        dataroot_flow: Quantised flows (REDS sliding window only), or None.
        meta_info_file: List of sequences or images, or None (images found by listing the folder).
        backend: 'disk', 'lmdb' or 'store'.
        store: Folder of the crop store, with backend 'store'.
        val_partition: 'REDS4', 'official' or None.
        test_mode: Take the validation clips instead of the others (REDS recurrent only).
        num_frame: Frames of a full-size clip; None for the whole clip (-1 in the file).
        gt_size: Edge of the full-size GT crop in pixels; a multiple of `scale`.
        scale: GT pixels per LQ pixel and axis.
        interval_list: Steps between neighbouring frames to choose from, each >= 1.
        random_reverse: Play half of the clips backwards.
        use_hflip, use_rot: Flip left-right; flip top-bottom and transpose. Half of the clips each.
        flip_sequence: Append the reversed clip (Vimeo recurrent only).
        filename_tmpl: Name of an LQ image, without extension, from that of its GT image.
        color, mean, std: Conversions of BasicSR's PairedImageDataset, or None.
        degradation: How LQ was made from GT, 'bicubic' or 'bd', where that is known; not an option of BasicSR.
    """

    dataroot_gt: str
    dataroot_lq: str
    gt_size: int
    scale: int
    use_hflip: bool
    use_rot: bool
    dataroot_flow: str | None = None
    meta_info_file: str | None = None
    backend: str = 'disk'
    store: str | None = None
    val_partition: str | None = None
    test_mode: bool = False
    num_frame: int | None = None
    interval_list: tuple[int, ...] = (1,)
    random_reverse: bool = False
    flip_sequence: bool = False
    filename_tmpl: str = '{}'
    color: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    degradation: str | None = None

    @classmethod
    def parse(cls, block: Mapping[str, Any], scale: object) -> TrainSetOptions:
        """Read BasicSR's `datasets.train` dictionary and the file's top-level `scale`.

        Raises:
            ConfigError: with every problem of the block, each under its dotted path.
        """
        read = _Reader(block)
        options = cls(
            dataroot_gt=os.path.expanduser(read.text('dataroot_gt')),
            dataroot_lq=os.path.expanduser(read.text('dataroot_lq')),
            dataroot_flow=read.text('dataroot_flow', None) or None,
            meta_info_file=read.text('meta_info_file', None) or None,
            backend=read.backend(),
            store=read.store(),
            val_partition=read.text('val_partition', None) or None,
            test_mode=read.flag('test_mode', False),
            num_frame=read.frames(),
            gt_size=read.size('gt_size', block.get('gt_size')),
            scale=read.size('scale', scale, at='scale'),
            interval_list=read.intervals(),
            random_reverse=read.flag('random_reverse', False),
            use_hflip=read.flag('use_hflip'),
            use_rot=read.flag('use_rot'),
            flip_sequence=read.flag('flip_sequence', False),
            filename_tmpl=read.template(),
            color=read.text('color', None) or None,
            mean=read.numbers('mean'),
            std=read.numbers('std'),
        )
        if not read.problems and options.gt_size % options.scale:
            read.problems.append(gt_size_problem(options.gt_size, options.scale))
        if read.problems:
            raise ConfigError(*read.problems)
        return options

    def replace(self, **changes: Any) -> TrainSetOptions:
        """The same options with some values changed."""
        return replace(self, **changes)


def gt_size_problem(gt_size: int, scale: int) -> Problem:
    """A GT crop that is not a whole number of LQ pixels."""
    return Problem(
        f'{BLOCK}.gt_size',
        f'{gt_size} is not a multiple of scale: {scale}',
        'allowed: a positive multiple of the scale, so that GT and LQ crops show the same pixels',
        f'use {max(scale, gt_size // scale * scale)}',
    )


class _Reader:
    """Takes typed values out of the block and collects what is wrong with it."""

    def __init__(self, block: Mapping[str, Any]) -> None:
        self.block = block
        self.problems: list[Problem] = []

    def _wrong(self, at: str, value: object, allowed: str) -> None:
        what = 'missing' if value is None else f'{value!r} cannot be used'
        self.problems.append(Problem(at, what, f'allowed: {allowed}', f'set {at} in the options file'))

    def text(self, key: str, default: str | None = '') -> str:
        """A string; without a default (the empty one) it has to be there."""
        value = self.block.get(key)
        if value is None and default != '':
            return default or ''
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            self._wrong(f'{BLOCK}.{key}', value, 'a path' if key.startswith('dataroot') else 'a text')
            return ''
        return str(os.fspath(value))

    def template(self) -> str:
        value = self.text('filename_tmpl', '{}')
        try:
            value.format('name')
        except (IndexError, KeyError, ValueError):
            self._wrong(f'{BLOCK}.filename_tmpl', value, "a text with {} for the GT image's name, such as '{}x4'")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self.block.get(key, default)
        value = default if value is None else value
        if not isinstance(value, bool):
            self._wrong(f'{BLOCK}.{key}', value, 'true or false')
            return False
        return value

    def size(self, key: str, value: object, at: str = '') -> int:
        if type(value) is int and value >= 1:  # not a bool, which is an int too
            return value
        self._wrong(at or f'{BLOCK}.{key}', value, 'an integer of at least 1')
        return 1

    def frames(self) -> int | None:
        value = self.block.get('num_frame')
        return None if value is None or value == -1 else self.size('num_frame', value)

    def intervals(self) -> tuple[int, ...]:
        value = self.block.get('interval_list')
        value = [1] if value is None else value
        if not isinstance(value, (list, tuple)) or not value or not all(type(v) is int and v >= 1 for v in value):
            self._wrong(f'{BLOCK}.interval_list', value, 'a list of integers of at least 1, such as [1]')
            return (1,)
        return tuple(value)

    def numbers(self, key: str) -> tuple[float, ...] | None:
        value = self.block.get(key)
        if value is None:
            return None
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, (int, float)) for v in value):
            self._wrong(f'{BLOCK}.{key}', value, 'a list of numbers, one for each channel')
            return None
        return tuple(value)

    def backend(self) -> str:
        value = self.block.get('io_backend')
        kind = value.get('type') if isinstance(value, Mapping) else value
        if kind not in BACKENDS:
            self._wrong(f'{BLOCK}.io_backend.type', kind, ', '.join(BACKENDS))
            return 'disk'
        return str(kind)

    def store(self) -> str | None:
        """The folder of a store, where the backend is one."""
        value = self.block.get('io_backend')
        if not isinstance(value, Mapping) or value.get('type') != 'store':
            return None
        path = value.get('path')
        if not isinstance(path, str) or not path:
            self._wrong(f'{BLOCK}.io_backend.path', path, 'the folder of a crop store')
            return None
        return os.path.expanduser(path)
