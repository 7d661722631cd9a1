"""Two ranks that take their shares in two passes step on the gradient of one rank that takes everything at once."""

from __future__ import annotations

import pytest
import torch

from mg_basicsr.training.extension import extend
from mg_basicsr.training.micro_batches import MicroBatches
from tests.integration.test_micro_batches import CLIPS, MODELS, batch, build, train

RANKS = PARTS = 2
SCRIPT = """
from tests.helpers.ranks import fork_ranks
rank = fork_ranks(2)
from tests.integration.test_rank_gradients import compare
for name in {names}:
    compare(name, rank)
"""


@pytest.mark.parametrize('name', MODELS)
def test_gradients_of_two_ranks_in_two_passes_are_the_large_batchs(trainer, project, name):
    output = trainer(project, script=SCRIPT.format(names=[name]))
    assert output.count(f'{name}: equal') == RANKS


def compare(name: str, rank: int) -> None:
    """What each of the ranks does. Raises AssertionError where they differ."""
    torch.set_default_dtype(torch.float64)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    whole = build(name)
    divided = build(name, dist=True, rank=rank, world_size=RANKS, find_unused_parameters=True)
    extend(divided, [MicroBatches()])
    exchanges = [count_exchanges(getattr(divided, net)) for net in ('net_g', 'net_d') if hasattr(divided, net)]

    expected = train(whole, [batch(name, 1)] * 3)
    share = CLIPS // RANKS
    mine = {key: value[rank * share : (rank + 1) * share] for key, value in batch(name, 1).items()}
    found = train(divided, [type(batch(name, 1))(mine, PARTS)] * 3)

    assert len(found) == len(expected) == 3 * len(whole.optimizers)
    # the mean over ranks of losses that sum over their clips: DDP, and BasicSR with it, knows only means
    factor = RANKS if name.endswith('sum') else 1
    for step, other in zip(found[: len(whole.optimizers)], expected, strict=False):
        norm = max(g.norm() for g in other if g is not None)
        for ours, theirs in zip(step, other, strict=True):
            assert (ours is None) == (theirs is None), name
            assert ours is None or (factor * ours - theirs).norm() <= 1e-12 * norm, name
    if factor == 1:
        for network in ('net_g', 'net_g_ema', 'net_d'):
            if hasattr(whole, network):
                ours, theirs = (m.get_bare_model(getattr(m, network)).state_dict() for m in (divided, whole))
                assert all(torch.allclose(ours[key], theirs[key], rtol=1e-8, atol=1e-10) for key in ours), name
    # one backward pass of the generator per step, two of the discriminator (real and fake), whatever the passes
    assert [set(counts.values()) for counts in exchanges] == [{3}, {6}][: len(exchanges)], exchanges
    print(f'{name}: equal', flush=True)


def count_exchanges(network: torch.nn.parallel.DistributedDataParallel) -> dict[int, int]:
    """How often each bucket of gradients has been exchanged between the ranks; kept up to date."""
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

    counts: dict[int, int] = {}

    def hook(state, bucket):
        counts[bucket.index()] = counts.get(bucket.index(), 0) + 1
        return allreduce_hook(state, bucket)

    network.register_comm_hook(None, hook)
    return counts
