"""Cut a sample of any dataset to a requested shape: one pure function, by rules that are stated and checked.

A sample's `lq` says how many frames T the clip has, and `lq` and `gt` how large its images are. What follows them:

- along time, every tensor, list or tuple of T, T - 1, 2 T or 2 (T - 1) entries, at any depth; of more entries per
  frame, tensors of images. A clip keeps its first frames. Entries of one frame follow each other.
- along space, every tensor whose last two edges are those of `lq` or `gt`.

What looks as if it followed the clip, without one of these rules, is refused by its key and shape: left whole, it would
belong to another clip. So are images of some frames only, and one value per pixel in a row. `multigrid.adapter` says
what they are.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mg_basicsr.config.adapter_rules import AdapterRules
from mg_basicsr.data.sampling.permutation import mix
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import DataError, Problem

_CUT = 4  # the stream of random numbers for cutting, beside the dataset's own
_CHANNELS = (1, 3, 4)  # of images: (3, h, w) may be an image, or three masks
_LEVELS = (0.125, 0.25, 0.5, 2.0, 4.0, 8.0)  # of pyramids, relative to `lq` and `gt`
_NEAR = 7  # from so many frames on, T - 2 and T + 1 entries are no chance: second differences, limits of frames

Edges = tuple[int, int]


@dataclass(frozen=True)
class Cut:
    """Place at which samples of one shape are cut.

    Attributes:
        name: Name of the dataset, for messages.
        rules: What the user says.
        frames: Frames T of the sample; 1 for images.
        first: The first frame that is kept, from 0.
        wanted: Frames that are kept.
        edges: (top, left, height, width) of the crop, by the edges (h, w) of the images that it is cut from; None each
            where they are kept whole.
    """

    name: str
    rules: AdapterRules
    frames: int
    first: int
    wanted: int
    edges: Mapping[Edges, tuple[int, int, int, int] | None] = field(default_factory=dict)

    @property
    def along_time(self) -> bool:
        """Whether frames are left out."""
        return self.wanted < self.frames

    @property
    def along_space(self) -> bool:
        """Whether images are cropped."""
        return any(window is not None for window in self.edges.values())

    def refused(self, kind: str, path: str, value: Any, why: str) -> DataError:
        """Return the error for a value that no rule covers.

        Args:
            kind: Rule to set, `time` or `space`.
            path: Key of the value, after those around it.
            value: The value, whose type and shape are named.
            why: Reason, to follow the shape in the message.
        """
        shape = f'{type(value).__name__} {tuple(value.shape)}' if _is_array(value) else _counted(value)
        cut = f'{self.frames} frames to {self.wanted}' if kind == 'time' else f'images of {[*self.edges]} to crops'
        return DataError(
            Problem(
                f'{self.name}: {path}',
                f'{shape} {why}; clips are cut from {cut}',
                f'needed: a rule for it in multigrid.adapter.{kind}, the list of all keys that are cut so',
                f'write multigrid.adapter: {{{kind}: [{path}]}} if it is, {{{kind}: []}} if it stays whole',
            )
        )


def fit(
    sample: Mapping[str, Any],
    request: SampleRequest,
    rules: AdapterRules,
    *,
    scale: int,
    name: str,
    mirrored: bool = False,
) -> dict[str, Any]:
    """Return a sample cut to the requested shape.

    Args:
        sample: `lq` and `gt`, tensors (c, h, w) for images, (t, c, h, w) for clips, and anything else.
        request: The frames and the GT size wanted, and the seed of the crop's place.
        rules: What runs along time and space, where the user says it.
        scale: GT size / LQ size.
        name: Name of the dataset, for messages.
        mirrored: The second half of a clip is the first one reversed: the middle is kept, which is of that kind too.

    Raises:
        DataError: The sample is smaller than requested, or something of it cannot be placed.
    """
    cut = _cut_of(sample, request, rules, scale, name, mirrored)
    if not cut.along_time and not cut.along_space:
        return dict(sample)
    return {key: _fitted(cut, str(key), value, key in ('lq', 'gt'), False) for key, value in sample.items()}


def _cut_of(
    sample: Mapping[str, Any], request: SampleRequest, rules: AdapterRules, scale: int, name: str, mirrored: bool
) -> Cut:
    """Return the place where a sample is cut, after checks of its `lq` and `gt`; see `fit`.

    Raises:
        DataError: The sample is smaller than requested, or `lq` and `gt` do not fit each other.
    """
    lq, gt = (_pixels(sample, key, name) for key in ('lq', 'gt'))
    lq_size, clip = request.gt_size // scale, lq.ndim == 4
    _check_large_enough(lq, request.frames, lq_size, f'{name}: lq', request)
    _check_large_enough(gt, request.frames if gt.ndim == 4 else 1, request.gt_size, f'{name}: gt', request)
    frames = lq.shape[0] if clip else 1
    if frames > request.frames and gt.shape[:-3] != lq.shape[:-3]:
        raise DataError(
            Problem(
                'multigrid.temporal',
                f'{name} gives {"one GT frame" if gt.ndim == 3 else f"{len(gt)} GT frames"} for {frames} frames',
                'allowed: [1.0], a sliding-window network takes a fixed number of frames',
                'set multigrid.temporal: [1.0]',
            )
        )
    place = random.Random(mix(request.seed, _CUT))
    spare = max(0, frames - request.frames)
    first = spare // 2 if mirrored else place.randint(0, spare) if rules.start == 'random' else 0
    height, width = lq.shape[-2:]
    size = _in_aspect(lq, lq_size, scale, name)
    window = None
    if size != (height, width):
        if tuple(gt.shape[-2:]) != (height * scale, width * scale):
            raise DataError(
                Problem(
                    f'{name}: gt',
                    f'{tuple(gt.shape)} beside lq {tuple(lq.shape)} at scale: {scale}, so that crops of it do not fit',
                    f'needed: images {scale} times as high and wide as those of lq',
                    'correct scale, or let the dataset deliver crops of opt["gt_size"] itself',
                )
            )
        window = (place.randint(0, height - size[0]), place.randint(0, width - size[1]), *size)
    scaled: Any = window and tuple(edge * scale for edge in window)
    edges: dict[Edges, Any] = {_edges(gt): scaled, (height, width): window}
    return Cut(name, rules, frames, first, min(frames, request.frames), edges)


def _fitted(cut: Cut, path: str, value: Any, is_pixels: bool, timed: bool) -> Any:
    """Return a value cut along time and space.

    Args:
        cut: Place of the cut.
        path: Key of the value, after those around it.
        value: Anything that a sample may hold.
        is_pixels: Whether it is `lq` or `gt`, which every rule holds for.
        timed: Whether the container has been cut along time.

    Raises:
        DataError: It may run along time or space, and no rule says so.
    """
    if isinstance(value, Mapping):
        numbered = bool(value) and all(any(map(str.isdigit, str(key))) for key in value)
        automatic = cut.along_time and not timed and cut.rules.time is None
        if automatic and numbered and _multiples(cut, len(value)):
            raise cut.refused('time', path, value, 'has as many entries as the clip')
        return {key: _fitted(cut, f'{path}.{key}', entry, False, timed) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        value = value if isinstance(value, (list, tuple)) else list(value)
        part = None if timed or not cut.along_time else _entries(cut, path, value, is_pixels)
        entries = [
            _fitted(cut, path, entry, is_pixels, timed or part is not None)
            for entry in (value[part] if part else value)
        ]
        return type(value)(*entries) if hasattr(value, '_fields') else type(value)(entries)
    if not _is_array(value) or not value.ndim:
        return value
    if torch.is_tensor(value) and value.layout is not torch.strided:
        raise cut.refused('time', path, value, 'is sparse')
    part = None if timed or not cut.along_time else _entries(cut, path, value, is_pixels)
    window = _window(cut, path, value, is_pixels)  # of the whole value, whose shape messages name
    value = value[part] if part else value
    if window:
        top, left, height, width = window
        value = value[..., top : top + height, left : left + width]
    return value.contiguous() if torch.is_tensor(value) else np.ascontiguousarray(value)


def _entries(cut: Cut, path: str, value: Any, is_pixels: bool) -> slice | None:
    """Return the entries that are kept along time; None for all.

    Raises:
        DataError: It is unclear whether it runs along time.
    """
    if is_pixels:
        return _kept(cut, 1, 0) if _is_array(value) and value.ndim == 4 else None
    found = _multiples(cut, len(value))
    if cut.rules.time is not None:
        if not _listed(path, cut.rules.time):
            return None
        if not found:
            if isinstance(value, (list, tuple)) and any(_has_entries(entry) for entry in value):
                return None  # a list of several: its entries run along time
            raise cut.refused('time', path, value, 'has neither T nor T - 1 entries, nor a multiple of these')
        return _kept(cut, *found[0])
    if not found:
        if len(value) in (cut.frames - 2, cut.frames + 1) and cut.frames >= _NEAR:
            raise cut.refused('time', path, value, 'has nearly as many entries as the clip')
        if _is_array(value):
            _refuse_other_axes(cut, path, value)
        return None
    _refuse_ambiguous(cut, path, value, found)
    return _kept(cut, *found[0])


def _refuse_ambiguous(cut: Cut, path: str, value: Any, found: list[tuple[int, int]]) -> None:
    """Raise DataError for a value whose entries are as many as the clip's frames, but may be something else."""
    times, lacking = found[0]
    lengths = (cut.frames, cut.frames - 1)
    if not _is_array(value):
        inside = [e for e in value if _is_array(e) and e.ndim and not (e.ndim == 3 and _edges(e) in cut.edges)]
        if any(len(entry) in lengths for entry in inside):
            raise cut.refused('time', path, value, 'has as many entries as the clip, and so has what is in it')
    images = _is_array(value) and value.ndim >= 3 and _edges(value) in cut.edges
    if images and value.ndim == 3 and len(value) in _CHANNELS:
        raise cut.refused('time', path, value, 'may have channels or frames in its first axis')
    if _is_array(value) and any(length > 1 and length in lengths for length in _inner(cut, value)):
        raise cut.refused('time', path, value, 'has as many entries as the clip in several axes')
    if lacking and cut.frames == 2:
        raise cut.refused('time', path, value, 'may belong to the one pair of frames, or to the whole clip')
    if times > 2 and (not images or value.ndim < 4 or len(found) > 1):
        raise cut.refused('time', path, value, f'has a multiple of {cut.frames - lacking} entries')


def _refuse_other_axes(cut: Cut, path: str, value: Any) -> None:
    """Raise DataError for a tensor that runs along the clip in another axis than its first, or shows some frames."""
    inner = _inner(cut, value)
    if any(length > 1 and length in (k * n for k in (1, 2) for n in (cut.frames, cut.frames - 1)) for length in inner):
        raise cut.refused('time', path, value, 'has as many entries as the clip, but not in its first axis')
    if inner and {*value.shape[:-1]} == {1} and _multiples(cut, value.shape[-1]):
        raise cut.refused('time', path, value, 'has a multiple of the entries of the clip, but not in its first axis')
    if value.ndim >= 3 and _edges(value) in cut.edges:
        raise cut.refused('time', path, value, 'shows images, but not one per frame')


def _inner(cut: Cut, value: Any) -> tuple[int, ...]:
    """Return the lengths of all axes but the first and those of images."""
    images = value.ndim >= 2 and _edges(value) in cut.edges
    return tuple(value.shape[1:-2] if images else value.shape[1:])


def _multiples(cut: Cut, length: int) -> list[tuple[int, int]]:
    """Return (k, 0) for k * T entries and (k, 1) for k * (T - 1), the smaller k first."""
    of = ((cut.frames, 0), (cut.frames - 1, 1)) if cut.frames > 2 or length < 2 else ((cut.frames, 0),)
    return sorted((length // whole, lacking) for whole, lacking in of if length and whole and length % whole == 0)


def _kept(cut: Cut, times: int, lacking: int) -> slice:
    return slice(times * cut.first, times * (cut.first + cut.wanted - lacking))


def _window(cut: Cut, path: str, value: Any, is_pixels: bool) -> tuple[int, int, int, int] | None:
    """Return the part that is kept of the images in a tensor; None for all.

    Raises:
        DataError: It seems to show images of the sample, but not in its last two edges, or of another size.
    """
    if not cut.along_space:
        return None
    keys = None if is_pixels else cut.rules.space
    if keys is not None and not _listed(path, keys):
        return None
    if _edges(value) in cut.edges:
        return cut.edges[_edges(value)]
    if keys is not None:
        raise cut.refused('space', path, value, 'has neither the edges of lq nor those of gt')
    if any(tuple(value.shape[n : n + 2]) in cut.edges for n in range(value.ndim - 2)):
        raise cut.refused('space', path, value, 'has the edges of lq or gt, but not as its last two')
    levels = {(h * level, w * level) for h, w in cut.edges for level in _LEVELS}
    if value.ndim > 2 and _edges(value) in levels:
        raise cut.refused('space', path, value, 'has the edges of lq or gt times a power of two')
    if value.ndim == 4 and value.shape[1] in (2, 3, 4) and min(_edges(value)) * 2 >= min(map(min, cut.edges)):
        raise cut.refused('space', path, value, 'shows images, but not of the size of lq or gt')
    if any(length == h * w for h, w in cut.edges for length in value.shape):
        raise cut.refused('space', path, value, 'has as many entries as lq or gt has pixels')
    return None


def _in_aspect(lq: torch.Tensor, size: int, scale: int, name: str) -> Edges:
    """Return the edges of a crop of `lq` in its aspect, the shorter one `size` pixels long.

    Raises:
        DataError: The longer one would not be a whole number of pixels.
    """
    height, width = lq.shape[-2:]
    shorter = min(height, width)
    if height * size % shorter or width * size % shorter:
        unit = shorter // int(np.gcd(height, width)) * scale
        raise DataError(
            Problem(
                f'{name}: lq',
                f'{tuple(lq.shape)} has no crop of the same aspect whose shorter edge is {size} pixels',
                f'needed: square crops, or GT sizes that are a multiple of {unit}',
                'let the dataset deliver crops of opt["gt_size"] itself, or set multigrid.spatial to such sizes',
            )
        )
    return height * size // shorter, width * size // shorter


def _pixels(sample: Mapping[str, Any], key: str, name: str) -> torch.Tensor:
    value = sample.get(key)
    if not torch.is_tensor(value) or value.ndim not in (3, 4):
        found = tuple(value.shape) if torch.is_tensor(value) else 'missing' if value is None else _counted(value)
        raise DataError(
            Problem(
                f'{name}: {key}',
                f'{found}; the sample has {", ".join(map(str, sample))}',
                'needed: a tensor (c, h, w), or (t, c, h, w) of a clip',
                'train with a dataset that delivers pairs of LQ and GT, or remove the multigrid block',
            )
        )
    return value


def _check_large_enough(value: torch.Tensor, frames: int, size: int, what: str, request: SampleRequest) -> None:
    delivered = value.shape[0] if value.ndim == 4 else 1
    if delivered < frames or min(value.shape[-2:]) < size:
        raise DataError(
            Problem(
                what,
                f'{tuple(value.shape)} for a request of {frames} frames of {size} x {size} pixels',
                'needed: at least the shape of the largest stage',
                'set datasets.train.gt_size and num_frame to what the dataset delivers',
            )
        )


def _is_array(value: Any) -> bool:
    return torch.is_tensor(value) or isinstance(value, np.ndarray)


def _has_entries(value: Any) -> bool:
    return isinstance(value, (list, tuple, Mapping)) or (_is_array(value) and value.ndim > 0)


def _edges(value: Any) -> Edges:
    return tuple(value.shape[-2:])


def _listed(path: str, keys: tuple[str, ...]) -> bool:
    """Return whether a key, or one that it is in, is in a list."""
    return any(path == key or path.startswith(f'{key}.') for key in keys)


def _counted(value: Any) -> str:
    return f'{type(value).__name__} of {len(value)}' if hasattr(value, '__len__') else type(value).__name__
