"""Options files in, plans out: preset short_clips."""

from __future__ import annotations

from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from tests.helpers.stock_options import described, resolved, stock

LR, ETA_MIN, TOTAL = 2e-4, 1e-7, 300_000
NO_WARM_UP = {'preset': 'short_clips', 'warmup_iter': -1}


def stages(kind: str = 'reds', **block: Any) -> list[tuple[int, int, int, int]]:
    """(iterations, clips, frames, GT size) of each stage."""
    found = described(stock(kind, block={'preset': 'short_clips', **block}))['stages']
    return [(stage['iters'], stage['clips'], stage['frames'], stage['gt_size']) for stage in found]


def frames_and_iters(**block: Any) -> dict[int, int]:
    """Iterations by clip length, whatever the stage in which the rate begins to fall."""
    found: dict[int, int] = {}
    for iters, _, frames, _ in stages(**block):
        found[frames] = found.get(frames, 0) + iters
    return found


def test_crops_and_batches_are_the_files() -> None:
    assert {(clips, size) for _, clips, _, size in stages()} == {(16, 256)}


@pytest.mark.parametrize(
    ('block', 'expected'),
    [
        ({'shares': [1.0, 0.3, 0.2]}, {4: 300_000, 8: 90_000, 15: 60_000}),
        ({'temporal': [3, 1.0], 'shares': [0.5, 0.25]}, {3: 150_000, 15: 75_000}),
        ({'min_frames': 5, 'shares': [1, 1, 1]}, {5: TOTAL, 8: TOTAL, 15: TOTAL}),
        ({'temporal': [1.0], 'shares': [1.0]}, {15: TOTAL}),
    ],
)
def test_clip_lengths_and_their_iterations(block: dict[str, Any], expected: dict[int, int]) -> None:
    assert frames_and_iters(**block) == expected


def test_mirrored_clips_have_even_lengths() -> None:
    assert [frames for _, _, frames, _ in stages('vimeo')] == sorted(frames for _, _, frames, _ in stages('vimeo'))
    assert all(frames % 2 == 0 for _, _, frames, _ in stages('vimeo'))


@pytest.mark.parametrize('hold', [0, 0.1, 0.5, 2 / 3, 0.9, 1])
def test_the_rate_is_held_then_falls_along_one_line(hold: float) -> None:
    """Whatever stage the knee is in, at a stage's end or at the run's."""
    plan = resolved(stock(block={**NO_WARM_UP, 'hold': hold})).plan
    knee = round(hold * plan.total_iter)
    for at in range(0, plan.total_iter, 9_973):
        fallen = max(0, at - knee) / max(1, plan.total_iter - knee)
        assert plan(at).rate(LR) == pytest.approx(LR + (ETA_MIN - LR) * fallen, rel=1e-9)


@pytest.mark.parametrize(
    ('kind', 'block', 'path'),
    [
        ('edvr', {}, 'multigrid.preset'),
        ('reds', {'shares': [1.0, 0.5]}, 'multigrid.shares'),
        ('reds', {'temporal': [0.25, 0.5, 0.75]}, 'multigrid.temporal'),
        ('reds', {'temporal': [4, 16], 'shares': [1, 1]}, 'multigrid.temporal'),
        ('reds', {'shares': [1.0, 0, 0.2]}, 'multigrid.shares'),
        ('reds', {'hold': 1.5}, 'multigrid.hold'),
        ('reds', {'shares': [1e-9, 1, 1]}, 'train.total_iter'),
        ('vimeo', {'temporal': [3, 1.0], 'shares': [1, 1]}, 'multigrid.temporal'),
    ],
)
def test_what_does_not_fit(kind: str, block: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(stock(kind, block={'preset': 'short_clips', **block}))
    assert path in str(caught.value)
