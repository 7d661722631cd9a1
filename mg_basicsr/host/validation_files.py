"""Look at every frame of the validation sets: that it exists, is an image, and has the size that it must have.

Headers only: pixels are decoded by the trial of the validation, of a few frames, and by the host.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from mg_basicsr.data.sources.image_files import HEADER_BYTES, ORIENTATION, PNG_START, png_size
from mg_basicsr.dataset_types import SEPTUPLET
from mg_basicsr.errors import Problem
from mg_basicsr.parsing.plain_files import open_plain_file

CLIPS, SEPTUPLETS, IMAGES = 'clips', 'septuplets', 'images'
# Layout of the files of BasicSR's own types
LAYOUTS = {
    'VideoTestDataset': CLIPS,
    'VideoRecurrentTestDataset': CLIPS,
    'VideoTestDUFDataset': CLIPS,
    'VideoTestVimeo90KDataset': SEPTUPLETS,
    'PairedImageDataset': IMAGES,
}
EXACT = ('VideoTestDataset', 'VideoRecurrentTestDataset', 'VideoTestVimeo90KDataset')  # others crop GT to the scale
MOST_PROBLEMS = 5  # of one set
THREADS = 16  # reading headers is waiting, for a disk or a network
PNG_END = b'IEND\xaeB`\x82'


class Pair(NamedTuple):
    """Frames that belong together.

    Attributes:
        gt: Paths of GT frames.
        lq: Paths of LQ frames, as many unless the type pairs one GT frame with several.
        name: Name of the clip for messages; empty for an image.
        line: Line of the list that names it; empty without a list.
    """

    gt: Sequence[str]
    lq: Sequence[str]
    name: str = ''
    line: str = ''


class DamagedFrameError(Exception):
    """Fault of a frame that is missing, or no image; the message completes "frame X"."""


def validation_problems(options: Mapping[str, Any], whole: bool = False) -> list[Problem]:
    """Return the problems of the validation sets' files.

    Sets whose folders do not exist are left out, as are types of other packages, whose files are not known.

    Args:
        options: Content of the options file.
        whole: Whether each PNG is read to its end and its checksums are compared; done for cached sets in any case,
            since the host reads them at its start.
    """
    datasets, found = options.get('datasets'), []
    for name, section in datasets.items() if isinstance(datasets, Mapping) else ():
        if str(name).startswith('val') and isinstance(section, Mapping) and _readable(section):
            scale = options.get('scale', 1)
            factor = scale if type(scale) is int and scale > 0 else None  # another value is a problem itself
            found += _of_set(f'datasets.{name}', section, factor, whole or section.get('cache_data') is True)
    return found


def pairs_of(section: Mapping[str, Any], problems: list[Problem], option: str = '') -> Iterator[Pair]:
    """Yield the frames of a validation set as BasicSR pairs them.

    Args:
        section: Options of the set.
        problems: Collection to which missing folders and differing counts are added.
        option: Dotted path of the set.
    """
    layout = LAYOUTS.get(str(section.get('type')))
    gt, lq = (os.path.expanduser(section[key]) for key in ('dataroot_gt', 'dataroot_lq'))
    lines = _lines(section.get('meta_info_file'))
    if layout == CLIPS:
        yield from _clips(gt, lq, lines, problems, option)
    elif layout == SEPTUPLETS:
        frames = section.get('num_frame')
        count = frames if type(frames) is int else SEPTUPLET
        if not 1 <= count <= SEPTUPLET:
            allowed = f'allowed: an integer from 1 to {SEPTUPLET}'
            problems.append(Problem(f'{option}.num_frame', f'{count} frames', allowed, 'correct it'))
            return
        for line in lines or ():
            name = line.split(' ')[0]
            window = [f'{lq}/{name}/im{n + (9 - count) // 2}.png' for n in range(count)]
            yield Pair([f'{gt}/{name}/im4.png'], window, name, line)
    elif layout == IMAGES:
        yield from _images(gt, lq, lines, str(section.get('filename_tmpl', '{}')), problems, option)


def _readable(section: Mapping[str, Any]) -> bool:
    backend, lists = section.get('io_backend'), section.get('meta_info_file')
    on_disk = not isinstance(backend, Mapping) or backend.get('type', 'disk') == 'disk'
    roots = [section.get(key) for key in ('dataroot_gt', 'dataroot_lq')]
    exist = all(
        isinstance(root, str) and '\0' not in root and os.path.isdir(os.path.expanduser(root)) for root in roots
    )
    return on_disk and exist and (not isinstance(lists, str) or ('\0' not in lists and os.path.isfile(lists)))


def _of_set(option: str, section: Mapping[str, Any], scale: int | None, whole: bool) -> list[Problem]:
    problems: list[Problem] = []
    pairs = list(pairs_of(section, problems, option))
    exact = str(section.get('type')) in EXACT
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = pool.map(lambda path: _size_or_fault(path, whole), [path for p in pairs for path in (*p.gt, *p.lq)])
        for pair in pairs:
            gt, lq = ([next(sizes) for _ in side] for side in (pair.gt, pair.lq))
            problems += _of_pair(option, pair, gt, lq, scale, exact)
    if len(problems) > MOST_PROBLEMS:
        more = f'and {len(problems) - MOST_PROBLEMS} more problems of its frames'
        return [*problems[:MOST_PROBLEMS], Problem(option, more, '', 'correct these first')]
    return problems


Size = tuple[int, int] | str  # height and width, or what is wrong


def _of_pair(
    option: str, pair: Pair, gt: list[Size], lq: list[Size], scale: int | None, exact: bool
) -> Iterator[Problem]:
    clip = f' (clip {pair.name})' if pair.name else ''
    for label, paths, sizes in (('GT', pair.gt, gt), ('LQ', pair.lq, lq)):
        for path, size in zip(paths, sizes, strict=True):
            if isinstance(size, str):
                yield Problem(
                    option,
                    f'{label} frame {path}{clip} {size}',
                    'needed: undamaged images, and nothing else in the folders of clips',
                    'restore it from its source, or remove the whole clip',
                )
    good = [size for size in (*gt, *lq) if not isinstance(size, str)]
    if len(good) < len(gt) + len(lq) or scale is None:
        return
    for n, (path, size) in enumerate(zip(pair.gt, gt, strict=True)):
        small = lq[n if len(lq) == len(gt) else 0]
        height, width = int(small[0]) * scale, int(small[1]) * scale
        have = int(size[0]), int(size[1])
        fits = have == (height, width) if exact else have[0] >= height and have[1] >= width
        if not fits or (exact and size != gt[0]):
            yield Problem(
                option,
                f'GT frame {path}{clip} is {have[0]}x{have[1]} pixels (height x width), its LQ {small[0]}x{small[1]}',
                f'needed: GT of {"" if exact else "at least "}{scale} times the LQ size, the same in a whole clip',
                'correct the frame, or scale, dataroot_gt and dataroot_lq',
            )
            return


def _clips(gt: str, lq: str, lines: list[str] | None, problems: list[Problem], option: str) -> Iterator[Pair]:
    names = [line.split(' ')[0] for line in lines] if lines is not None else _visible(gt)
    if lines is None and names != _visible(lq):
        only = sorted(set(names) ^ set(_visible(lq)))
        problems.append(
            Problem(
                option,
                f'GT has {len(names)} clips and LQ {len(_visible(lq))}; on one side only: {", ".join(only[:3])}',
                'needed: the same clips in dataroot_gt and dataroot_lq, which BasicSR pairs by their order',
                'complete the set, or list its clips in meta_info_file',
            )
        )
        names = [name for name in names if name in set(_visible(lq))]
    for n, name in enumerate(names):
        folders = f'{gt}/{name}', f'{lq}/{name}'
        absent = [folder for folder in folders if not os.path.isdir(folder)]
        if absent:
            problems.append(
                Problem(option, f'{absent[0]} is no folder', 'needed: a folder for each clip', 'restore it')
            )
            continue
        sides = [[f'{folder}/{file}' for file in _files(folder)] for folder in folders]
        if len(sides[0]) != len(sides[1]) or not sides[0]:
            problems.append(
                Problem(
                    option,
                    f'clip {name} has {len(sides[0])} GT frames and {len(sides[1])} LQ frames',
                    'needed: an LQ frame for each GT frame',
                    'restore the missing frames, or remove the clip on both sides',
                )
            )
            continue
        yield Pair(sides[0], sides[1], name, lines[n] if lines is not None else '')


def _images(
    gt: str, lq: str, lines: list[str] | None, template: str, problems: list[Problem], option: str
) -> Iterator[Pair]:
    names = [line.split(' ')[0] for line in lines] if lines is not None else _files(gt)
    if lines is None and len(names) != len(_files(lq)):
        problems.append(
            Problem(
                option,
                f'{len(names)} GT images and {len(_files(lq))} LQ images',
                'needed: an LQ image for each GT image',
                'complete the set, or list its images in meta_info_file',
            )
        )
    for n, name in enumerate(names):
        base, suffix = os.path.splitext(name)
        try:
            lower = f'{template.format(base)}{suffix}'
        except (LookupError, ValueError):
            return  # reported with the option
        yield Pair([f'{gt}/{name}'], [f'{lq}/{lower}'], '', lines[n] if lines is not None else '')


def _lines(path: Any) -> list[str] | None:
    if not isinstance(path, str):
        return None
    with open(path, encoding='utf-8', errors='replace') as file:
        return [line.rstrip('\n') for line in file]


def _visible(root: str) -> list[str]:
    """Return what BasicSR lists of a folder: everything whose name does not begin with a dot."""
    return sorted(name for name in os.listdir(root) if not name.startswith('.'))


def _files(folder: str) -> list[str]:
    return [name for name in _visible(folder) if os.path.isfile(f'{folder}/{name}')]


def _size_or_fault(path: str, whole: bool) -> Size:
    try:
        return image_size(Path(path), whole)
    except DamagedFrameError as error:
        return str(error)


def image_size(path: Path, whole: bool = False) -> tuple[int, int]:
    """Return height and width of an image in pixels: from the header of a PNG; other files are decoded.

    Args:
        path: The file.
        whole: Whether a PNG is read to its end, and its checksums are compared.

    Raises:
        DamagedFrameError: it does not exist, cannot be read, or is no whole image.
    """
    try:
        with open(open_plain_file(path), 'rb') as file:
            head = file.read(HEADER_BYTES)
            if whole:
                data = head + file.read()
            else:
                file.seek(max(0, file.seek(0, os.SEEK_END) - len(PNG_END)))
                data = head + file.read()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise DamagedFrameError('does not exist' if missing else f'cannot be read: {error.strerror}') from None
    if not head.startswith(PNG_START) or (whole and ORIENTATION in data):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise DamagedFrameError('cannot be decoded')
        return int(image.shape[0]), int(image.shape[1])
    size = png_size(head)
    if size is None or not data.endswith(PNG_END) or (whole and not _intact(data)):
        raise DamagedFrameError('is damaged: it is cut, or its checksums are wrong')
    return size


def _intact(data: bytes) -> bool:
    """Return whether the checksums of all chunks of a PNG are right."""
    at = len(PNG_START)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], 'big')
        end = at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], 'big'):
            return False
        at = end + 4
    return at == len(data)
