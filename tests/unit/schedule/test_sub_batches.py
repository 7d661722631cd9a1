"""How stages fall into sub-batches: a table."""

from __future__ import annotations

import pytest

from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import Plan, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.schedule.sub_batches import SubBatches, sub_batches


def plan(*stages: list[int], world_size: int = 1, budget: int = 10**9) -> Plan:
    """One stage for each list of clips; several clips are a short cycle, the last of them at the stage's full size."""
    specs = [
        StageSpec(6, tuple(BatchShape(n, 1, 8 * (k + 1)) for k, n in enumerate(clips)), 1.0, 0.0, Constant())
        for clips in stages
    ]
    return build_plan(specs, world_size=world_size, budget=budget, warmup_iter=0, base_lr=1.0)


@pytest.mark.parametrize(
    ('clips', 'size', 'world_size', 'expected'),
    [
        ([8], 8, 1, SubBatches(1, 1, 8)),
        ([16], 8, 1, SubBatches(2, 1, 8)),
        ([64], 8, 2, SubBatches(4, 1, 8)),
        ([12], 8, 1, SubBatches(1, 1, 12)),  # none is smaller than the standard
        ([20], 8, 1, SubBatches(2, 1, 10)),
        ([21], 8, 1, SubBatches(1, 1, 21)),  # 2 does not divide it
        ([21], 6, 1, SubBatches(3, 1, 7)),
        ([8], 1, 1, SubBatches(8, 1, 1)),
        # the short cycle: the number is that of the long cycle's batch, and divides them all
        ([64, 32, 16], 8, 1, SubBatches(2, 1, 8)),
        ([63, 32, 16], 8, 1, SubBatches(1, 1, 16)),
        # a rank holds less than a sub-batch
        ([8], 8, 4, SubBatches(1, 4, 8)),
        ([8], 4, 4, SubBatches(1, 2, 4)),
        ([8], 3, 4, SubBatches(1, 2, 4)),
        ([8], 5, 4, SubBatches(1, 4, 8)),  # 3 ranks would do, but 4 cannot be divided among them
        ([6], 2, 6, SubBatches(1, 2, 2)),
        ([4], 8, 2, SubBatches(1, 2, 4)),  # there is no more
        ([4], 8, 1, SubBatches(1, 1, 4)),
    ],
)
def test_sub_batches(clips: list[int], size: int, world_size: int, expected: SubBatches) -> None:
    assert sub_batches(plan(clips, world_size=world_size).stages[0], size, world_size) == expected


def test_long_cycle_of_wu2020() -> None:
    """Batches of 8, 4, 2 and 1 times a baseline of 8 clips per rank."""
    stages = plan([256, 128], [128, 64], [64, 32], [32, 16], world_size=2).stages
    assert [sub_batches(stage, 8, 2).parts for stage in stages] == [8, 4, 2, 1]


def test_passes_are_divided_each() -> None:
    """16 clips that fit 4 at a time are four passes of one sub-batch, or of two."""
    stage = plan([16], budget=4 * 64).stages[0]
    assert stage.batch.accumulate == 4
    assert sub_batches(stage, 4, 1) == SubBatches(1, 1, 4)
    assert sub_batches(stage, 2, 1) == SubBatches(2, 1, 2)
    assert sub_batches(stage, 8, 1) == SubBatches(1, 1, 4)
