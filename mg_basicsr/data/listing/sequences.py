"""Sequences of a video set, and the key of each index of a sampler, from BasicSR's meta files.

A meta file has one line per sequence: its name, its number of frames, and the shape of its GT frames, for instance
`000 100 (720,1280,3)` (REDS) or `00001/0001 7 (256,448,3)` (Vimeo-90K).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.train_set import BLOCK, PARTITIONS

MOST_PROBLEMS = 5
LINE = re.compile(r'\s*(\S+)\s+(\d+)\s+\(\s*(\d+)\s*,\s*(\d+)\s*(?:,\s*\d+\s*)?\)\s*')

# Clips that BasicSR holds out for validation: four of the training set (EDVR, Wang et al. 2019, section 4.1), or the
# official validation set, which BasicSR's preparation script renumbers from 240 and moves to the training clips.
REDS_VALIDATION = {
    'REDS4': frozenset({'000', '011', '015', '020'}),
    'official': frozenset(f'{number:03d}' for number in range(240, 270)),
}


class FrameSequence(NamedTuple):
    """Folder of frames.

    Attributes:
        name: Name of the folder, below the root.
        frames: Number of frames.
        height: Height of GT frames in pixels; 0 if unknown.
        width: Width of GT frames in pixels; 0 if unknown.
    """

    name: str
    frames: int
    height: int
    width: int


class SequenceList:
    """Sequences, and the list of keys that BasicSR would make of them, in memory proportional to the sequences.

    `len()` counts keys.

    Args:
        sequences: The sequences.
        key_per_frame: Whether there is a key per frame of each sequence (REDS); otherwise one per sequence (Vimeo-90K).
    """

    def __init__(self, sequences: Iterable[FrameSequence], *, key_per_frame: bool) -> None:
        self.sequences = tuple(sequences)
        counts = (sequence.frames if key_per_frame else 1 for sequence in self.sequences)
        self._ends = array('q', accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def locate(self, index: int) -> tuple[FrameSequence, int]:
        """Return the sequence of a key, and the key's frame in it, from 0 (always 0 with one key per sequence).

        Raises:
            IndexError: the index is outside 0 <= index < len(self).
        """
        if not 0 <= index < len(self):
            raise IndexError(f'index {index} of a set of {len(self)} keys')
        position = bisect_right(self._ends, index)
        first = self._ends[position - 1] if position else 0
        return self.sequences[position], index - first


def read_meta_file(path: str | None) -> list[FrameSequence]:
    """Return the sequences of a meta file in its order; empty lines are skipped.

    Raises:
        ConfigError: no file is given, or it does not exist.
        DataError: the file is empty, or lines of it are damaged; the message names the file and each line.
    """
    sequences: list[FrameSequence] = []
    problems: list[Problem] = []
    shapes: dict[tuple[int, int, int], tuple[int, int, int]] = {}  # equal ones are shared: Vimeo-90K has 64,612 lines
    for number, line in read_lines(path):
        match = LINE.fullmatch(line)
        frames, height, width = (int(match[group]) for group in (2, 3, 4)) if match else (0, 0, 0)
        if match and min(frames, height, width) > 0:
            shape = shapes.setdefault((frames, height, width), (frames, height, width))
            sequences.append(FrameSequence(match[1], *shape))
        else:
            problems.append(_damaged_line(path, number, line))
    if problems:
        raise DataError(*first_of(problems, 'damaged lines'))
    if not sequences:
        raise DataError(
            Problem(str(path), 'lists no sequence', 'allowed: at least one line such as 000 100 (720,1280,3)')
        )
    return sequences


def read_lines(path: str | None, option: str = f'{BLOCK}.meta_info_file') -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line of a meta file that is not empty.

    Args:
        path: Path of the file.
        option: Option that names the file, for messages.

    Raises:
        ConfigError: no file is given, or it does not exist.
        DataError: the file cannot be read as text.
    """
    if not path:
        raise ConfigError(Problem(option, 'missing', 'allowed: the path of a list of sequences', f'set {option}'))
    try:
        with open(path, encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise ConfigError(
            Problem(
                option,
                f'{path} does not exist',
                'allowed: a list of frames, its path relative to the working directory or absolute',
                'correct the path (the lists for REDS and Vimeo-90K are in basicsr/data/meta_info of BasicSR)',
            )
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(path, f'cannot be read: {error}', 'allowed: a text file', f'check {option}')
        raise DataError(problem) from error


def reds_split(sequences: Iterable[FrameSequence], partition: str | None, validation: bool) -> list[FrameSequence]:
    """Return the sequences of REDS for training, or those held out for validation.

    Args:
        sequences: All sequences of the meta file.
        partition: 'REDS4' or 'official'.
        validation: Whether to return those held out for validation.

    Raises:
        ConfigError: BasicSR has no such partition.
        DataError: no sequence is left.
    """
    option = f'{BLOCK}.val_partition'
    if partition not in REDS_VALIDATION:
        raise ConfigError(
            Problem(
                option,
                f'{partition!r} is not known' if partition else 'missing',
                f'allowed: {", ".join(PARTITIONS)}',
                f'set {option} in the options file',
            )
        )
    held_out = REDS_VALIDATION[partition]
    chosen = [sequence for sequence in sequences if (sequence.name.split('/')[0] in held_out) == validation]
    if not chosen:
        kind = 'validation' if validation else 'training'
        raise DataError(
            Problem(
                option,
                f'{partition} leaves no {kind} clip',
                f'needed: clips in the meta file that are {"" if validation else "not "}among {sorted(held_out)}',
                f'check {BLOCK}.meta_info_file, val_partition and test_mode',
            )
        )
    return chosen


def first_of(problems: list[Problem], noun: str) -> list[Problem]:
    """Return at most MOST_PROBLEMS problems, and a last one that counts the others.

    Args:
        problems: All problems.
        noun: Noun for the others in the last line.
    """
    rest = len(problems) - MOST_PROBLEMS
    return problems if rest <= 0 else [*problems[:MOST_PROBLEMS], Problem('', f'and {rest} more {noun}')]


def _damaged_line(path: str | None, number: int, line: str) -> Problem:
    return Problem(
        f'{path}, line {number}',
        f'{line.strip()[:80]!r} is not a sequence',
        'allowed: name, number of frames (>= 1) and GT shape, such as 000 100 (720,1280,3)',
        'correct or remove the line',
    )
