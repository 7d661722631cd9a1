"""Lists of keys, and REDS's partitions."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.data.listing.sequences import FrameSequence, SequenceList, reds_split
from mg_basicsr.errors import ConfigError, DataError

LENGTHS = st.lists(st.integers(1, 120), min_size=1, max_size=12)


def sequences_of(lengths: list[int]) -> list[FrameSequence]:
    return [FrameSequence(f'{number:03d}', frames, 720, 1280) for number, frames in enumerate(lengths)]


@given(LENGTHS)
def test_a_key_per_frame(lengths: list[int]) -> None:
    sequences = sequences_of(lengths)
    keys = SequenceList(sequences, key_per_frame=True)
    listed = [(sequence, frame) for sequence in sequences for frame in range(sequence.frames)]
    assert [keys.locate(index) for index in range(len(keys))] == listed


@given(LENGTHS)
def test_a_key_per_sequence(lengths: list[int]) -> None:
    sequences = sequences_of(lengths)
    keys = SequenceList(sequences, key_per_frame=False)
    assert [keys.locate(index) for index in range(len(keys))] == [(sequence, 0) for sequence in sequences]


@pytest.mark.parametrize('index', [-1, 30, 31])
def test_an_index_outside_the_list(index: int) -> None:
    with pytest.raises(IndexError, match=r'of a set of 30 keys'):
        SequenceList(sequences_of([10, 20]), key_per_frame=True).locate(index)


def test_memory_does_not_grow_with_the_frames() -> None:
    few = SequenceList(sequences_of([2] * 10), key_per_frame=True)
    many = SequenceList(sequences_of([10**9] * 10), key_per_frame=True)
    assert len(many) == 10**10
    assert sys.getsizeof(many._ends) == sys.getsizeof(few._ends)


ALL = sequences_of([5] * 270)


@pytest.mark.parametrize(
    ('partition', 'held_out'),
    [('REDS4', ['000', '011', '015', '020']), ('official', [f'{number:03d}' for number in range(240, 270)])],
)
def test_partitions(partition: str, held_out: list[str]) -> None:
    validation = reds_split(ALL, partition, validation=True)
    training = reds_split(ALL, partition, validation=False)
    assert [sequence.name for sequence in validation] == held_out
    assert sorted(training + validation) == ALL


def test_a_partition_that_basicsr_does_not_know() -> None:
    with pytest.raises(ConfigError, match=r"datasets.train.val_partition: 'REDS5'"):
        reds_split(ALL, 'REDS5', validation=False)
    with pytest.raises(ConfigError, match=r'datasets.train.val_partition: missing'):
        reds_split(ALL, None, validation=False)


def test_a_partition_that_leaves_nothing() -> None:
    with pytest.raises(DataError, match=r'datasets.train.val_partition: REDS4 leaves no training clip'):
        reds_split(ALL[:1], 'REDS4', validation=False)
    with pytest.raises(DataError, match=r'leaves no validation clip'):
        reds_split(ALL[1:2], 'REDS4', validation=True)
