"""When batch norm takes its statistics over sub-batches, and of how many clips."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.stock_options import PAPER, resolved, stock

VARYING = {'preset': 'stages', 'stages': [{'iters': 200_000, 'clips': 64}, {'iters': 100_000, 'clips': 16}]}
PER_RANK = 'datasets.train.batch_size_per_gpu'


@pytest.mark.parametrize(
    ('block', 'per_rank', 'expected'),
    [
        ({'preset': 'lin2022'}, 4, 0),
        (PAPER, 4, 0),  # passes of 16 to 4 clips, but one number of clips per step
        (VARYING, 4, 4),  # never more than the file's own batch norm sees
        (VARYING, 8, 8),
        (VARYING, 16, 8),
        ({**VARYING, 'sub_batch_norm': False}, 4, 0),
        ({**VARYING, 'sub_batch_norm': 2}, 4, 2),
        ({**PAPER, 'sub_batch_norm': 4}, 4, 4),
        ({**PAPER, 'sub_batch_norm': None}, 4, 0),
    ],
)
def test_clips_of_a_sub_batch(block: dict[str, Any], per_rank: int, expected: int) -> None:
    assert resolved(stock('reds', block, {PER_RANK: per_rank})).sub_batch_norm == expected
