"""Sampler that follows a plan: the clips of an iteration are a pure function of the plan, the seed and the rank.

>>> from mg_basicsr.schedule.lr import Constant
>>> from mg_basicsr.schedule.plan import StageSpec, build_plan
>>> from mg_basicsr.schedule.shape import BatchShape
>>> shapes = BatchShape(clips=2, frames=4, size=64), BatchShape(clips=2, frames=8, size=128)
>>> specs = [StageSpec(3, (shape,), 1e-4, 0.0, Constant()) for shape in shapes]
>>> plan = build_plan(specs, world_size=1, budget=shapes[1].pixels, warmup_iter=0, base_lr=1e-4)
>>> sampler = MultigridSampler(plan, num_keys=4, seed=1)
>>> [(len(batch), batch[0].frames, batch[0].gt_size) for batch in sampler]
[(2, 4, 64), (2, 4, 64), (2, 4, 64), (2, 8, 128), (2, 8, 128), (2, 8, 128)]

Each key is drawn once per pass over the set, and a run that starts in the middle continues with the same clips.

>>> sorted(request.index for batch in list(sampler)[:2] for request in batch)
[0, 1, 2, 3]
>>> next(iter(MultigridSampler(plan, num_keys=4, seed=1, start=4))) == sampler.requests(4)
True
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from torch.utils.data import Sampler

from mg_basicsr.data.sampling.permutation import Permutation, mix
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.schedule.plan import Plan

# Separate streams of random numbers from one seed: the order of a pass, and what happens inside a sample.
_ORDER, _SAMPLE = 1, 2


@lru_cache(maxsize=4)  # a step touches one pass, or two at their border
def _pass_order(size: int, seed: int, number: int) -> Permutation:
    return Permutation(size, mix(seed, _ORDER, number))


def request_at(
    position: int, *, num_keys: int, seed: int, frames: int, gt_size: int, max_stride: int = 1, max_span: int = 0
) -> SampleRequest:
    """Return the request for the clip at a position. Each key is drawn once per pass, every pass in another order.

    Args:
        position: Number of clips drawn before this one, >= 0.
        num_keys: Keys of the dataset, >= 1.
        seed: Seed of the run.
        frames: Frames as the network sees them, >= 1.
        gt_size: Edge of the GT crop in pixels.
        max_stride: Largest stride between frames, in intervals, >= 1.
        max_span: Largest GT span in pixels that may be resampled to the crop; 0 for none.
    """
    number, offset = divmod(position, num_keys)
    index = _pass_order(num_keys, seed, number)(offset)
    return SampleRequest(index, frames, gt_size, mix(seed, _SAMPLE, position), max_stride, max_span)


class MultigridSampler(Sampler[BatchRequests]):
    """Batch sampler that follows a plan: yields, per iteration, the requests of one rank in order of position.

    The clips of an iteration are divided among the ranks in contiguous shares: disjoint, equally large, and together
    the same for any number of ranks. With accumulation a rank's share is one list, which the model divides.

    Memory and time do not depend on the number of keys.

    Args:
        plan: The plan of the run.
        num_keys: Keys of the dataset, >= 1.
        seed: Seed of the run.
        rank: Rank of this process, 0 <= rank < plan.world_size.
        start: First iteration of the next `iter()`, 0-based; may be changed before each.
        grid: Strides and spans of clips; by default frames are consecutive and crops not resampled.
    """

    def __init__(
        self, plan: Plan, num_keys: int, seed: int = 0, rank: int = 0, start: int = 0, grid: Grid = OFF
    ) -> None:
        self.plan = plan
        self.num_keys = num_keys
        self.seed = seed
        self.rank = rank
        self.start = start
        self.grid = grid

    def requests(self, iteration: int) -> BatchRequests:
        """Return this rank's requests for a 0-based iteration."""
        step = self.plan(iteration)
        shape = step.shape
        share = shape.clips // self.plan.world_size
        first = step.position + self.rank * share
        stride, span = self.grid.limits(shape)
        return BatchRequests(
            iteration,
            (
                request_at(
                    position,
                    num_keys=self.num_keys,
                    seed=self.seed,
                    frames=shape.frames,
                    gt_size=shape.size,
                    max_stride=stride,
                    max_span=span,
                )
                for position in range(first, first + share)
            ),
        )

    def __iter__(self) -> Iterator[BatchRequests]:
        return map(self.requests, range(self.start, self.plan.total_iter))  # `start` counts now, not at the first next

    def __len__(self) -> int:
        return max(0, self.plan.total_iter - self.start)
