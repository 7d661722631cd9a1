"""Options files in, plans out: preset wu2020 as its paper has it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.stock_options import described, resolved, stock

WU2020: dict[str, Any] = {'preset': 'wu2020'}
# No rounding, as for the paper's video networks; without it the batches are exactly the paper's.
UNROUNDED = WU2020 | {'lq_multiple': 1, 'min_lq_size': 1, 'min_frames': 1}
EPOCH = 1000  # iterations
K400 = {
    'scale': 1,
    'datasets.train.num_frame': 16,
    'datasets.train.gt_size': 224,
    'train.total_iter': 239 * EPOCH,
    'train.scheduler': {'type': 'MultiStepLR', 'milestones': [94_000, 154_000, 196_000], 'gamma': 0.1},
    'train.warmup_iter': -1,
}


def stages_of(kind: str = 'reds', block: Any = WU2020, changes: Any = None, world_size: int | None = None) -> list[Any]:
    return list(described(stock(kind, block, changes), world_size)['stages'])


def ends_in_epochs(stages: list[Any], clips: int = 16) -> list[float]:
    """Samples drawn until each stage's end, in epochs of the baseline."""
    total, ends = 0, []
    for stage in stages:
        total += stage['samples']
        ends.append(total / clips / EPOCH)
    return ends


def test_the_papers_kinetics_run() -> None:
    """Long and short cycle, steps 94/154/196 of 239 epochs, 1.5 times the baseline's samples."""
    plan = described(stock(block=UNROUNDED, changes=K400))
    stages = plan['stages']
    cycle = [8, 4, 2, 1]
    assert [stage['clips'] / 16 for stage in stages] == 3 * cycle + [1]
    assert [stage['frames'] for stage in stages] == 3 * [4, 8, 8, 16] + [16]
    assert [stage['gt_size'] for stage in stages] == 3 * [158, 158, 224, 224] + [224]
    rates = [stage['lr_factor'][1] for stage in stages]
    assert rates == pytest.approx([rate * step for step in (1, 0.1, 0.01) for rate in cycle] + [0.001])
    assert stages[-1]['lr_factor'] == pytest.approx([0.01, 0.001])
    published = [73, 110, 142, 158, 205, 228, 248, 259, 291, 308, 322, 329, 358]
    assert ends_in_epochs(stages) == pytest.approx(published, abs=0.6)
    assert ends_in_epochs(stages)[-1] == pytest.approx(1.5 * 239, abs=0.1)
    assert 239 * EPOCH / plan['total_iter'] == pytest.approx(3.4, abs=0.05)


@pytest.mark.parametrize('scale', [1, 4])
def test_the_official_schedule_for_a_clip_length_that_four_does_not_divide(scale: int) -> None:
    """B8 T15 S256, steps 60 and 90 of 100 epochs: the ends are what SlowFast's MultigridSchedule prints for it."""
    changes = K400 | {
        'scale': scale,
        'datasets.train.num_frame': 15,
        'datasets.train.gt_size': 256,
        'datasets.train.batch_size_per_gpu': 8,
        'num_gpu': 1,
        'train.total_iter': 100 * EPOCH,
        'train.scheduler': {'type': 'MultiStepLR', 'milestones': [60 * EPOCH, 90 * EPOCH], 'gamma': 0.1},
    }
    stages = stages_of(block=UNROUNDED, changes=changes)
    assert [stage['frames'] for stage in stages] == 2 * [4, 8, 8, 15] + [15]
    assert [stage['clips'] / 8 for stage in stages] == 2 * [8, 4, 2, 1] + [1]
    published = [43, 66, 86, 96, 117, 128, 138, 143, 150]
    assert [round(end) for end in ends_in_epochs(stages, clips=8)] == published


@pytest.mark.parametrize(
    ('frames', 'rounded'),
    [
        (6, (2, 3, 6)),
        (7, (2, 4, 7)),
        (9, (2, 4, 9)),
        (10, (2, 5, 10)),
        (14, (4, 7, 14)),
        (15, (4, 8, 15)),
        (30, (8, 15, 30)),
    ],
)
def test_frames_are_rounded_to_the_nearest_and_ties_to_even(frames: int, rounded: tuple[int, ...]) -> None:
    """A quarter and a half of the frames; lin2022 rounds the same fractions down."""
    stages = stages_of(block=UNROUNDED | {'finetune': False}, changes=K400 | {'datasets.train.num_frame': frames})
    assert tuple(dict.fromkeys(stage['frames'] for stage in stages)) == rounded
    block = {'preset': 'lin2022', 'min_frames': 1, 'temporal': [0.25, 0.5, 1.0]}
    below = [stage['frames'] for stage in stages_of(block=block, changes={'datasets.train.num_frame': frames})[:3]]
    assert below == [frames // 4, frames // 2, frames]


@pytest.mark.parametrize(
    ('size', 'long', 'short'), [(225, 159, 112), (227, 161, 114), (233, 165, 116), (256, 181, 128)]
)
def test_sizes_are_rounded_to_the_nearest_and_ties_to_even(size: int, long: int, short: int) -> None:
    """sqrt(1/2) and half of the size; half of an odd one is a tie."""
    stage = stages_of(block=UNROUNDED, changes=K400 | {'datasets.train.gt_size': size})[0]
    assert stage['gt_size'] == long
    assert [shape[2] for shape in stage['short_cycle']] == [short, long, long]


def test_the_short_cycle_of_the_papers_kinetics_run() -> None:
    """Sizes 0.5, sqrt(0.5) and the long one, in turn; clips times 2, 1, 1 below the full size and 4, 2, 1 at it."""
    stages = stages_of(block=UNROUNDED, changes=K400)
    assert [stage['short_cycle'] for stage in stages[:4]] == [
        [[256, 4, 112], [128, 4, 158], [128, 4, 158]],
        [[128, 8, 112], [64, 8, 158], [64, 8, 158]],
        [[128, 8, 112], [64, 8, 158], [32, 8, 224]],
        [[64, 16, 112], [32, 16, 158], [16, 16, 224]],
    ]
    assert stages[-1]['short_cycle'] == stages[3]['short_cycle']  # it stays on in fine-tuning


def test_iterations_inside_a_step_are_equal_and_savings_too() -> None:
    stages = stages_of(block=UNROUNDED, changes=K400)
    for step, span in enumerate((94, 60, 42)):
        iters = [stage['iters'] for stage in stages[4 * step : 4 * step + 4]]
        assert max(iters) - min(iters) <= 1
        assert span * EPOCH / sum(iters) == pytest.approx(3.423, abs=1e-3)
    assert 43 * EPOCH / stages[-1]['iters'] == pytest.approx(3.423, abs=1e-3)


def test_the_halves_of_fine_tuning() -> None:
    plan = resolved(stock(block=UNROUNDED, changes=K400)).plan
    last = plan.stages[-1]
    middle = last.start + last.iters // 2
    factors = [plan(i).lr_factor for i in (last.start, middle - 1, middle, last.stop - 1)]
    assert factors == pytest.approx([0.01, 0.01, 0.001, 0.001])


def test_a_parameter_group_keeps_its_multiple_in_both_halves() -> None:
    plan = resolved(stock(block=UNROUNDED, changes=K400)).plan
    for iteration in (plan.stages[-1].start, plan.total_iter - 1):
        assert plan(iteration).rate(0.125 * 2e-4) == pytest.approx(0.125 * plan(iteration).rate(2e-4))


def test_the_rate_does_not_follow_the_short_cycle() -> None:
    plan = resolved(stock(block=UNROUNDED | {'warmup_iter': 0}, changes=K400)).plan
    for stage in plan.stages[:3]:
        turn = [plan(stage.start + k) for k in range(6)]
        assert len({step.lr_factor for step in turn}) == 1
        assert [step.shape for step in turn[:3]] == list(stage.spec.shapes) == [step.shape for step in turn[3:]]


def test_the_long_cycle_alone() -> None:
    """b = 8, 4, 2, 1 and a saving of 3.75 in each step: n = 1.5 * 239 / (196 + 43 / 3.75) epochs per sample."""
    plan = described(stock(block=UNROUNDED | {'short_cycle': False}, changes=K400))
    stages = plan['stages']
    assert [stage['short_cycle'] for stage in stages] == 13 * [None]
    assert [stage['clips'] / 16 for stage in stages] == 3 * [8, 4, 2, 1] + [1]
    assert ends_in_epochs(stages)[-1] == pytest.approx(1.5 * 239, abs=0.1)
    assert 239 * EPOCH / plan['total_iter'] == pytest.approx(3.75 * (196 + 43 / 3.75) / (1.5 * 239), abs=0.01)


def test_the_short_cycle_alone() -> None:
    """One stage per step at the full shape, each iteration 7/3 of the samples on average."""
    plan = described(stock(block=UNROUNDED | {'long_cycle': False}, changes=K400))
    stages = plan['stages']
    assert [stage['short_cycle'] for stage in stages] == 4 * [[[64, 16, 112], [32, 16, 158], [16, 16, 224]]]
    assert [stage['lr_factor'][1] for stage in stages] == pytest.approx([1, 0.1, 0.01, 0.001])
    assert ends_in_epochs(stages)[-1] == pytest.approx(1.5 * 239, abs=0.1)
    assert 239 * EPOCH / plan['total_iter'] == pytest.approx(7 / 3 / 1.5, abs=0.01)


def test_no_cycle_is_the_files_own_run() -> None:
    block = UNROUNDED | {'long_cycle': False, 'short_cycle': False, 'epoch_factor': 1, 'finetune': False}
    plan = described(stock(block=block, changes=K400))
    assert [(stage['iters'], stage['clips']) for stage in plan['stages']] == [
        (94_000, 16), (60_000, 16), (42_000, 16), (43_000, 16)
    ]  # fmt: skip
    assert plan['cost']['multigrid'] == 1


def test_without_fine_tuning_every_step_has_a_long_cycle() -> None:
    stages = stages_of(block=UNROUNDED | {'finetune': False}, changes=K400)
    assert [stage['clips'] / 16 for stage in stages] == 4 * [8, 4, 2, 1]
    assert stages[-1]['lr_factor'] == pytest.approx([0.001, 0.001])
    ends = [ends_in_epochs(stages)[n] for n in (3, 7, 11, 15)]
    assert ends == pytest.approx([1.5 * epoch for epoch in (94, 154, 196, 239)], abs=0.1)


@pytest.mark.parametrize(('factor', 'epochs'), [(1, 239), (0.5, 119.5), (1.1, 262.9)])
def test_epoch_factor(factor: float, epochs: float) -> None:
    assert ends_in_epochs(stages_of(block=UNROUNDED | {'epoch_factor': factor}, changes=K400))[-1] == pytest.approx(
        epochs, abs=0.1
    )


def test_shapes_are_rounded_to_what_the_network_takes_and_clips_follow() -> None:
    """BasicVSR on REDS: LQ 45 becomes 44 and 4 frames 6; 15 * 64^2 / (6 * 44^2) = 5.3, / (8 * 44^2) = 3.97 -> 4."""
    stages = stages_of()[:4]
    assert [(s['lq_size'], s['frames'], s['clips'] / 16) for s in stages] == [
        (44, 6, 5), (44, 8, 4), (64, 8, 2), (64, 15, 1)
    ]  # fmt: skip
    assert stages[0]['short_cycle'] == [[160, 6, 128], [80, 6, 176], [80, 6, 176]]


def test_a_fixed_number_of_frames_merges_the_temporal_steps() -> None:
    stages = stages_of('edvr')
    assert [(s['lq_size'], s['frames'], s['clips'] / 16) for s in stages] == 3 * [(44, 5, 2), (64, 5, 1)] + [(64, 5, 1)]
    first, second = stages[:2]
    assert abs(first['iters'] - second['iters']) <= 1


def test_mirrored_clips_stay_even() -> None:
    """1.75 of 7 frames are 2, below min_frames, and 3.5 are 4 (a tie goes to the even one); mirrored, 6 and 8."""
    assert [(s['lq_size'], s['frames']) for s in stages_of('vimeo')[:4]] == [(44, 6), (44, 8), (64, 8), (64, 14)]


def test_a_network_without_room_below_the_full_size_has_no_short_cycle() -> None:
    stages = stages_of(block=WU2020 | {'min_lq_size': 64})
    assert {stage['lq_size'] for stage in stages} == {64}
    assert [stage['short_cycle'] for stage in stages] == [None] * len(stages)


def test_own_cycles() -> None:
    block = {'long_cycle': [[7, 128], [1.0, 1.0]], 'short_cycle': [0.75]}
    stages = stages_of(block=WU2020 | block)
    assert [stage['short_cycle'] for stage in stages[:2]] == [
        None,  # a short size above the long one is the long one
        [[32, 15, 192], [16, 15, 256]],
    ]
    assert [stage['clips'] for stage in stages[:2]] == [16 * 9, 16]


@pytest.mark.parametrize(
    ('scheduler', 'steps', 'starts', 'factors'),
    [
        # the file's scheduler has no steps: the paper's, in proportion
        ({'type': 'CosineAnnealingRestartLR', 'periods': [300_000]}, None, (117_991, 193_305, 246_025), 0.1),
        ({'type': 'MultiStepLR', 'milestones': [1000, 2000, 400_000], 'gamma': 0.5}, None, (1000, 2000), 0.5),
        ({'type': 'MultiStepLR', 'milestones': [9]}, [150_000], (150_000,), 0.1),
        ({'type': 'VibrateLR'}, {'milestones': [150_000, 250_000], 'gamma': 0.2}, (150_000, 250_000), 0.2),
    ],
)
def test_where_the_steps_come_from(scheduler: Any, steps: Any, starts: tuple[int, ...], factors: float) -> None:
    """Without cycles and fine-tuning the stages are the steps."""
    block = {'long_cycle': False, 'short_cycle': False, 'finetune': False, 'epoch_factor': 1, 'warmup_iter': 0}
    block |= {'lr_steps': steps} if steps else {}
    stages = stages_of(block=WU2020 | block, changes={'train.scheduler': scheduler})
    assert [stage['start'] for stage in stages] == [0, *starts]
    expected = [factors**n for n in range(len(starts) + 1)]
    assert [stage['lr_factor'] for stage in stages] == [pytest.approx([factor, factor]) for factor in expected]


def test_a_larger_batch_scales_rate_and_length() -> None:
    plain = described(stock(block=UNROUNDED, changes=K400))
    larger = described(stock(block=UNROUNDED | {'base_batch_size': 16, 'batch_size': 64}, changes=K400))
    assert larger['total_iter'] == pytest.approx(plain['total_iter'] / 4, abs=1)
    assert larger['samples'] == pytest.approx(plain['samples'], rel=1e-3)
    for before, after in zip(plain['stages'], larger['stages'], strict=True):
        assert after['clips'] == 4 * before['clips']
        assert after['lr_factor'][1] == pytest.approx(4 * before['lr_factor'][1])


def test_a_cap_on_the_rate_of_small_crops() -> None:
    stages = stages_of('edvr', WU2020 | {'small_lr_max': 2e-4}, {'train.optim_g.lr': 4e-4})
    assert [stage['lr'][1] for stage in stages[:2]] == pytest.approx([2e-4, 4e-4])


@pytest.mark.parametrize('world_size', [1, 2, 4, 8])
def test_the_plan_does_not_depend_on_the_ranks(world_size: int) -> None:
    block = WU2020 | {'base_batch_size': 16, 'max_clips': 4}
    facts = described(stock(block=block), world_size)
    alone = described(stock(block=block), 1)
    keys = ('start', 'iters', 'clips', 'frames', 'gt_size', 'lr', 'short_cycle')
    assert [[s[key] for key in keys] for s in facts['stages']] == [[s[key] for key in keys] for s in alone['stages']]
    for stage in facts['stages']:
        assert stage['clips'] == stage['clips_per_rank'] * stage['accumulate'] * world_size
