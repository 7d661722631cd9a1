"""Sequences of a video set, and the key of each index of a sampler."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.train_set import BLOCK, PARTITIONS

MOST_PROBLEMS = 5

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
