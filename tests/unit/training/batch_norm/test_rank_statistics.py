"""Batch norm over the clips of several ranks: two or four processes on the CPU against one with all the clips."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mg_basicsr.training.batch_norm.rank_statistics import batch_norm_across_ranks, neighbours
from mg_basicsr.training.batch_norm.sub_batches import SubBatchNorm

RANKS = 4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, 3, bias=False)
    net = nn.Sequential(nn.BatchNorm2d(3), convolution, nn.BatchNorm2d(4, affine=False), nn.LeakyReLU(0.2)).double()
    nn.init.normal_(net[0].weight), nn.init.normal_(net[0].bias)
    return net


def clips() -> torch.Tensor:
    """Two for each rank, with means that differ."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2 * RANKS, 3, 5, 5, generator=generator, dtype=torch.float64)
    return x + torch.arange(2 * RANKS, dtype=torch.float64).view(-1, 1, 1, 1)


def objective(output: torch.Tensor, first: int, x: torch.Tensor) -> torch.Tensor:
    """A loss with a gradient penalty, so that second derivatives count; weights depend on the clip's number."""
    weights = torch.arange(first + 1, first + 1 + len(output), dtype=torch.float64).view(-1, 1, 1, 1)
    loss = (output.square() * weights).sum()
    (slope,) = torch.autograd.grad(loss, x, create_graph=True)
    return loss + slope.square().sum()


def results(net: nn.Module, x: torch.Tensor, first: int) -> dict[str, torch.Tensor]:
    bare = net.module if isinstance(net, DistributedDataParallel) else net
    x = x.clone().requires_grad_()
    output = net(x)
    objective(output, first, x).backward()
    assert x.grad is not None
    found = {'output': output.detach(), 'input': x.grad}
    found |= {name: parameter.grad for name, parameter in bare.named_parameters() if parameter.grad is not None}
    return found | {name: buffer.clone() for name, buffer in bare.named_buffers()}


def rank_main(rank: int, folder: Path) -> None:
    """What each process does: pairs of ranks share a sub-batch; then all do, under DistributedDataParallel."""
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=RANKS)
    x = clips()[2 * rank : 2 * rank + 2]
    pairs, everyone = neighbours(2), neighbours(RANKS)
    assert neighbours(1) is None and dist.get_world_size(pairs) == 2

    net = network()
    SubBatchNorm({'net': net}).divide(1, pairs)
    found = {'pairs': results(net, x, 2 * rank)}

    net = network()
    norm = SubBatchNorm({'net': net})
    wrapped = DistributedDataParallel(net)
    norm.divide(1, everyone)
    found['everyone'] = results(wrapped, x, 2 * rank)
    norm.divide(2)  # within the rank: buffers that DistributedDataParallel broadcasts are the layer's, not the parts'
    before = copy.deepcopy([net[0].running_mean, norm.layers['net.0'].running])
    wrapped(x)
    found['parts'] = {'before': before[1], 'after': norm.layers['net.0'].running, 'mean': net[0].running_mean}

    layer = nn.BatchNorm2d(3)
    with torch.autocast('cpu', torch.bfloat16):
        half, statistics = batch_norm_across_ranks(layer, x.bfloat16(), pairs)
    assert half.dtype == torch.bfloat16 and statistics.dtype == torch.float32
    found['half'] = {'output': half}
    torch.save(found, folder / f'{rank}.pth')
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, torch.Tensor]]]:
    """What each rank computed."""
    folder = tmp_path_factory.mktemp('ranks')
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    subprocess.run([sys.executable, __file__, str(folder)], env=env, timeout=120, check=True)
    return [torch.load(folder / f'{rank}.pth', weights_only=True) for rank in range(RANKS)]


def check(parts: list[dict[str, torch.Tensor]], whole: dict[str, torch.Tensor]) -> None:
    for key in ('output', 'input'):
        assert torch.allclose(torch.cat([part[key] for part in parts]), whole[key], rtol=1e-9, atol=1e-12)
    for key in set(whole) - {'output', 'input'}:
        if 'running' in key or 'tracked' in key:
            assert all(torch.allclose(part[key], whole[key], rtol=1e-12) for part in parts), key
        else:
            assert torch.allclose(torch.stack([part[key] for part in parts]).sum(0), whole[key], rtol=1e-9), key


@pytest.mark.parametrize('pair', range(RANKS // 2))
def test_two_ranks_equal_one_with_all_their_clips(found: list, pair: int) -> None:
    """Outputs, gradients of the clips, summed gradients of the parameters, and running statistics."""
    both = [found[2 * pair + k]['pairs'] for k in range(2)]
    assert any('weight' in key for key in both[0])
    check(both, results(network(), clips()[4 * pair : 4 * pair + 4], 4 * pair))
    alone = results(network(), clips()[4 * pair : 4 * pair + 2], 4 * pair)
    assert not torch.allclose(both[0]['output'], alone['output'])


def test_under_distributed_data_parallel(found: list) -> None:
    """Each rank has the mean gradient: that of all clips divided by the number of ranks."""
    everyone = [rank['everyone'] for rank in found]
    check(everyone, results(network(), clips(), 0))
    assert all(torch.equal(rank['0.weight'], everyone[0]['0.weight']) for rank in everyone)


def test_broadcast_buffers_do_not_reach_the_parts(found: list) -> None:
    for rank, x in zip(found, clips().chunk(RANKS), strict=True):
        parts = rank['parts']
        expected = 0.9 * parts['before'][0] + 0.1 * x.mean([2, 3])  # two parts of one clip
        assert torch.allclose(parts['after'][0], expected) and torch.allclose(parts['mean'], expected.mean(0))


def test_half_precision(found: list) -> None:
    both = torch.cat([found[rank]['half']['output'] for rank in (0, 1)]).float()
    expected = nn.BatchNorm2d(3)(clips()[:4].bfloat16().float())
    assert torch.allclose(both, expected, atol=0.02)


def main(folder: Path) -> int:
    """Forks the ranks, so that torch is imported once; the number of ranks that failed."""
    children = []
    for rank in range(RANKS):
        children.append(os.fork())
        if children[-1] == 0:
            rank_main(rank, folder)
            return 0
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1])))
