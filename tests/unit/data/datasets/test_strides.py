"""Temporal strides: their distribution, and that no clip runs over its sequence."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.data.datasets.clip_dataset import ClipDataset, Draw
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.listing.sequences import FrameSequence, SequenceList
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block
from tests.helpers.grid_statistics import assert_uniform

SEEDS = range(3000)


def steps(draw: Draw) -> int:
    """The step between the clip's frames, the same all along and forwards unless reversed."""
    found = {later - earlier for earlier, later in pairwise(draw.lq_frames)}
    assert len(found) == 1
    return found.pop()


def of_length(kind: type[ClipDataset], frames: int, root: Path, **changes: Any) -> ClipDataset:
    """A set of one sequence of this many frames, of which nothing is read."""
    dataset = kind(TrainSetOptions.parse(block(root, **changes), SCALE))  # type: ignore[call-arg]
    sequence = FrameSequence('001', frames, 64, 64)
    dataset.keys = SequenceList([sequence], key_per_frame=kind in (REDS, REDSRecurrent))
    return dataset


@pytest.mark.parametrize(
    ('length', 'frames', 'most', 'largest'),
    [(100, 7, 2, 2), (100, 4, 7, 7), (37, 4, 12, 12), (37, 5, 12, 9), (36, 5, 12, 8), (9, 5, 12, 2), (9, 9, 5, 1)],
)
def test_strides_are_uniform_on_those_that_fit(reds: Path, length: int, frames: int, most: int, largest: int) -> None:
    dataset = of_length(REDSRecurrent, length, reds)
    draws = [dataset.draw(SampleRequest(seed % length, frames, 16, seed, most)) for seed in SEEDS]
    assert_uniform([steps(draw) for draw in draws], range(1, largest + 1))


def test_a_stride_multiplies_the_interval(reds: Path) -> None:
    """Each interval as often as without strides, and for each of them the strides that fit it, alike."""
    dataset = of_length(REDSRecurrent, 37, reds, interval_list=[2, 5])
    drawn = [steps(dataset.draw(SampleRequest(0, 4, 16, seed, 3))) for seed in SEEDS]
    assert_uniform([step for step in drawn if step % 5], [2, 4, 6])
    assert_uniform([step for step in drawn if step % 5 == 0], [5, 10])  # 15 does not fit
    assert_uniform([step % 5 == 0 for step in drawn], [False, True])


@pytest.mark.parametrize('flip_sequence', [False, True])
def test_septuplets(vimeo: Path, flip_sequence: bool) -> None:
    dataset = of_length(Vimeo90KRecurrent, 7, vimeo, num_frame=-1, flip_sequence=flip_sequence)
    frames = 6 if flip_sequence else 3
    draws = [dataset.draw(SampleRequest(0, frames, 16, seed, 2)) for seed in SEEDS]
    assert_uniform([steps(draw) for draw in draws], [1, 2])
    assert_uniform([draw.lq_frames for draw in draws if steps(draw) == 1], [(n, n + 1, n + 2) for n in range(5)])
    assert_uniform([draw.lq_frames for draw in draws if steps(draw) == 2], [(n, n + 2, n + 4) for n in range(3)])


def test_the_first_frame_is_the_keys_wherever_the_clip_fits(reds: Path) -> None:
    dataset = of_length(REDSRecurrent, 30, reds)
    for seed in SEEDS:
        draw = dataset.draw(SampleRequest(seed % 30, 4, 16, seed, 5))
        if seed % 30 + 3 * steps(draw) < 30:
            assert draw.lq_frames[0] == seed % 30
    redrawn = [dataset.draw(SampleRequest(29, 4, 16, seed, 2)) for seed in SEEDS]
    assert_uniform([draw.lq_frames[0] for draw in redrawn if steps(draw) == 2], range(24))


@given(
    kind=st.sampled_from([REDSRecurrent, Vimeo90KRecurrent]),
    length=st.integers(1, 60),
    frames=st.integers(1, 12),
    most=st.integers(1, 20),
    intervals=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    reverse=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    data=st.data(),
)
def test_clips_never_run_over_their_sequence(
    reds: Path, kind: type[ClipDataset], length: int, frames: int, most: int, intervals: list[int], reverse: bool,
    seed: int, data: st.DataObject,
) -> None:  # fmt: skip
    changes = {'interval_list': intervals} if kind is REDSRecurrent else {}
    dataset = of_length(kind, length, reds, random_reverse=reverse, **changes)
    if dataset.frames_needed(frames) > length:
        return
    draw = dataset.draw(SampleRequest(data.draw(st.integers(0, len(dataset) - 1)), frames, 16, seed, most))
    assert len(set(draw.lq_frames)) == len(draw.lq_frames) == frames
    assert draw.lq_frames == draw.gt_frames
    assert min(draw.lq_frames) >= 0 and max(draw.lq_frames) < length
    if frames > 1:
        step = abs(steps(draw))
        assert any(step % interval == 0 and step // interval <= most for interval in changes.get('interval_list', [1]))


@pytest.mark.parametrize('kind', [REDS, Vimeo90K])
def test_windows_have_no_stride(reds: Path, kind: type[ClipDataset]) -> None:
    dataset = of_length(kind, 9, reds)
    for seed in range(50):
        assert dataset.draw(SampleRequest(0, 5, 16, seed, 3)) == dataset.draw(SampleRequest(0, 5, 16, seed))


def test_without_strides_and_spans_nothing_is_drawn_differently(reds: Path) -> None:
    """The limits of a full shape leave the generator alone: its samples are those without a grid."""
    dataset = of_length(REDSRecurrent, 37, reds, interval_list=[1, 2], random_reverse=True)
    dataset.options = dataset.options.replace(degradation='bicubic')
    for seed in range(200):
        plain = SampleRequest(seed % 37, 4, 16, seed)
        for span in (0, 12, 16):
            assert dataset.draw(SampleRequest(seed % 37, 4, 16, seed, 1, span)) == dataset.draw(plain)
