"""From an iteration to the clips of its mini-batch: the plan's shape, the seed, and nothing that is remembered."""

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
    """The clip at a position: each key is drawn once per pass over the set, in an order of that pass's own."""
    number, offset = divmod(position, num_keys)
    index = _pass_order(num_keys, seed, number)(offset)
    return SampleRequest(index, frames, gt_size, mix(seed, _SAMPLE, position), max_stride, max_span)


class MultigridSampler(Sampler[BatchRequests]):
    """A batch sampler that follows a plan: for each iteration the requests of one rank, in order of their positions.

    The clips of an iteration are divided among the ranks in contiguous shares: disjoint, equally large, and together
    the same whatever the number of ranks. With accumulation a rank's share is one list; the model cuts it.

    Memory and time do not depend on the number of keys.

    Args:
        plan: Iteration -> step.
        num_keys: Keys of the dataset, >= 1.
        seed: Seed of the run.
        rank: This process, 0 <= rank < plan.world_size.
        start: Iteration that the next `iter()` begins with, 0-based; may be set anew before each.
        grid: What clips may span; by default frames are consecutive and crops as they are.
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
        """This rank's clips of a 0-based iteration."""
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
