"""Reader of BasicSR's lists: meta files of clips and of images, and the lists of its LMDBs.

A meta file of clips has one line per sequence: its name, its number of frames, and the shape of its GT frames, for
instance `000 100 (720,1280,3)` (REDS) or `00001/0001 7 (256,448,3)` (Vimeo-90K). Names may have spaces; between the
three parts, and within the shape, may be any spaces and tabs. BasicSR itself reads no shape: lines that it takes
without one are taken too, and the size is then that of a frame.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from os.path import splitext

from mg_basicsr.data.listing.sequences import FrameSequence, first_of
from mg_basicsr.dataset_types import SEPTUPLET
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.parsing.places import hint
from mg_basicsr.parsing.plain_files import read_plain_file
from mg_basicsr.train_set import BLOCK

MOST_BYTES = 1 << 30
MOST_LINE = 1 << 12  # characters
SPACES = ' \t\r\f\v\n'
COUNT = r'0*\d{1,6}'  # so that no damaged number asks for more than a million of anything
SHAPE = rf'\(\s*({COUNT})\s*,\s*({COUNT})\s*(?:,\s*\d+\s*)?\)'
SHAPE_IN_LINE = re.compile(SHAPE)
WHOLE_LINE = re.compile(rf'([^ \t](?:.*[^ \t])?)[ \t]+({COUNT})[ \t]+{SHAPE}')
# Lines without a shape, as BasicSR splits them: REDS's at every space into three parts, Vimeo-90K's at the first space.
WITHOUT_SHAPE = {
    'reds': re.compile(rf'([^ \t]+) ({COUNT}) [^ ]*'),
    'vimeo': re.compile(rf'([^ \t]+) (?:({COUNT})\b)?.*'),
}
LMDB_SHAPE = re.compile(rf'\s+{SHAPE}(\s+\d+)?$')


def read_meta_file(path: str | None, layout: str = '') -> list[FrameSequence]:
    """Return the sequences of a meta file in its order; empty lines are skipped.

    Args:
        path: The file.
        layout: 'reds' or 'vimeo' to take lines without a shape, as BasicSR's class for it does; sizes are then 0.

    Raises:
        ConfigError: no file is given, or it does not exist.
        DataError: the file is empty, or lines of it are damaged; the message names the file and each line.
    """
    sequences: list[FrameSequence] = []
    problems: list[Problem] = []
    shapes: dict[tuple[int, int, int], tuple[int, int, int]] = {}  # equal ones are shared: Vimeo-90K has 64,612 lines
    for number, line in read_lines(path):
        found = _sequence(line, layout)
        if found:
            shape = shapes.setdefault(found[1:], found[1:])
            sequences.append(FrameSequence(found.name, *shape))
        else:
            problems.append(_damaged_line(path, number, line))
    if problems:
        raise DataError(*first_of(problems, 'damaged lines'))
    if not sequences:
        raise DataError(
            Problem(str(path), 'lists no sequence', 'allowed: at least one line such as 000 100 (720,1280,3)')
        )
    return sequences


def host_reads(path: str, layout: str, sequences: list[FrameSequence]) -> bool:
    """Return whether BasicSR's own class reads the same sequences from a meta file.

    Args:
        path: The file, which `read_meta_file` has read.
        layout: 'reds' or 'vimeo'.
        sequences: What it has read.
    """
    lines = list(io.StringIO(_text(path, 'utf-8')))  # a byte order mark is a part of its first name
    if layout == 'vimeo':
        return [line.split(' ')[0] for line in lines] == [sequence.name for sequence in sequences]
    parts = [line.split(' ') for line in lines]
    return all(len(three) == 3 for three in parts) and [name for name, _, _ in parts] == [
        sequence.name for sequence in sequences
    ]


def read_image_names(path: str | None) -> list[tuple[str, tuple[int, int]]]:
    """Return the names of a meta file of images, each with (height, width) in pixels; zeros where no size is listed.

    A name ends at the first space, as in BasicSR.

    Raises:
        ConfigError: no file is given, or it does not exist.
        DataError: the file cannot be read as text.
    """
    lines = (line.strip() for _, line in read_lines(path))
    return [(line.split(' ')[0], _size_in(line)) for line in lines]


def read_lmdb_keys(path: str, option: str, until_dot: bool = False) -> dict[str, tuple[int, int]]:
    """Return the keys that the list of an LMDB has, each with (height, width) in pixels; zeros where none is listed.

    Lines are `KEY.png (height,width,channels) level`, as BasicSR's script writes them. Keys may have spaces and dots.

    Args:
        path: The LMDB's meta_info.txt.
        option: Option that names the LMDB, for messages.
        until_dot: Take keys to end at their first dot, as BasicSR's PairedImageDataset does.

    Raises:
        ConfigError: the list does not exist.
        DataError: it cannot be read as text.
    """
    lines = [line.strip() for _, line in read_lines(path, option)]
    keys = [line.split('.')[0] if until_dot else splitext(LMDB_SHAPE.sub('', line))[0] for line in lines]
    return {key.strip(): _size_in(line) for key, line in zip(keys, lines, strict=True)}


def read_lines(path: str | None, option: str = f'{BLOCK}.meta_info_file') -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line of a list that is not empty. A byte order mark is no part of it.

    Args:
        path: Path of the file.
        option: Option that names the file, for messages.

    Raises:
        ConfigError: no file is given, or it does not exist.
        DataError: the file cannot be read as text, or a line cannot be one of a list.
    """
    if not path:
        raise ConfigError(Problem(option, 'missing', 'allowed: the path of a list of sequences', f'set {option}'))
    try:
        text = _text(path)
    except FileNotFoundError:
        found = hint(path, expands=False)
        raise ConfigError(
            Problem(
                option,
                found.why(f'{path} does not exist'),
                'allowed: a list of frames, its path relative to the working directory or absolute',
                found.advice(
                    'correct the path (lists for REDS and Vimeo-90K are in basicsr/data/meta_info of BasicSR)'
                ),
            )
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else f'{hint(path).there}; {error}'
        problem = Problem(path, f'cannot be read: {reason}', 'allowed: a text file in UTF-8', f'check {option}')
        raise DataError(problem) from error
    for number, line in enumerate(io.StringIO(text), 1):
        if len(line) > MOST_LINE or '\0' in line:
            raise DataError(_damaged_line(path, number, line))
        if line.strip():
            yield number, line


def _text(path: str, encoding: str = 'utf-8-sig') -> str:
    """Return the text of a list, with line ends as Python's `open` gives them to BasicSR."""
    data = read_plain_file(path, MOST_BYTES)
    return io.TextIOWrapper(io.BytesIO(data), encoding=encoding).read()


def _sequence(line: str, layout: str) -> FrameSequence | None:
    """Return the sequence of a line; None if it is damaged."""
    match = WHOLE_LINE.fullmatch(line.strip(SPACES))
    shaped = match is not None
    # the last line of a file that was cut short has no end: without its shape, neither may the number be whole
    if not match and layout and line.endswith('\n'):
        match = WITHOUT_SHAPE[layout].fullmatch(line.rstrip('\n'))
    if not match:
        return None
    frames = int(match[2] or SEPTUPLET)
    height, width = (int(match[3]), int(match[4])) if shaped else (0, 0)
    if frames < 1 or (shaped and min(height, width) < 1):
        return None
    return FrameSequence(match[1], frames, height, width)


def _size_in(line: str) -> tuple[int, int]:
    match = SHAPE_IN_LINE.search(line)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _damaged_line(path: str | None, number: int, line: str) -> Problem:
    return Problem(
        f'{path}, line {number}',
        f'{line.strip()[:80]!r} is not a sequence',
        'allowed: name, number of frames (1 to 999,999) and GT shape, such as 000 100 (720,1280,3)',
        'correct or remove the line',
    )
