"""Which parts of a network run in which type, on stand-ins for the files of a repository's networks."""

from __future__ import annotations

import copy
import sys
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
import torchvision  # noqa: F401 - the stand-in uses it
from torch import nn

from mg_basicsr.training.precision.reduced import converted, float32_function, reduce_precision, to_float32

REDUCED = [torch.bfloat16, torch.float16]

# as in BasicSR: positions are counted in the type of the features, and the function is imported by its name
UTIL = """
import torch
from torch.nn import functional as F

def flow_warp(x, flow):
    h, w = x.shape[-2:]
    columns = torch.arange(0, w).type_as(x).float() + flow[..., 0]
    rows = torch.arange(0, h).type_as(x).float()[:, None] + flow[..., 1]
    grid = torch.stack([2 * columns / (w - 1) - 1, 2 * rows / (h - 1) - 1], -1)
    return F.grid_sample(x, grid, align_corners=True)

def warp_twice(x, flow):
    return flow_warp(flow_warp(x, flow), flow)

def double(x):
    return 2 * x
"""
ARCH = """
import torch
import torchvision
from torch import nn
from somebodys_util import double, flow_warp, warp_twice

seen = {}

class SpyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, ref):
        flow = self.layer(ref)
        seen['flow'] = ref.dtype, flow.dtype
        return flow

class Alignment(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_offset = nn.Conv2d(4, 27, 3, padding=1)
        self.weight = nn.Parameter(torch.rand(4, 4, 3, 3))

    def forward(self, x, extra):
        offset, mask = self.conv_offset(extra).split([18, 9], 1)
        seen['offset'] = offset.dtype
        return torchvision.ops.deform_conv2d(x, offset, self.weight, padding=1, mask=mask)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.spynet = SpyNet()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.align = Alignment()
        self.last = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x):
        flow = self.spynet(x.bfloat16() if self.training else x)
        feat = self.first(x)
        seen['features'] = feat.dtype
        feat = flow_warp(feat, flow.permute(0, 2, 3, 1))
        seen['warped'] = feat.dtype
        feat = self.align(feat, feat)
        return {'image': self.last(feat), 'pyramid': [double(feat)]}
"""


@pytest.fixture
def arch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A repository's network file and the file that its warp is written in."""
    for name, source in (('somebodys_util', UTIL), ('somebodys_arch', ARCH)):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(source, vars(module))
    torch.manual_seed(0)
    return sys.modules['somebodys_arch']


@pytest.mark.parametrize('dtype', REDUCED)
def test_what_runs_in_which_type(arch: Any, dtype: torch.dtype) -> None:
    net = arch.Net()
    assert reduce_precision(net, dtype) == ['spynet', 'align', 'flow_warp']
    result = net(torch.rand(1, 3, 8, 8))
    assert arch.seen == {
        'flow': (torch.float32, torch.float32), 'features': dtype, 'warped': dtype, 'offset': torch.float32,
    }  # fmt: skip
    assert {result['image'].dtype, result['pyramid'][0].dtype} == {torch.float32}
    result['image'].sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


def test_evaluation_is_float32_to_the_bit(arch: Any) -> None:
    net = arch.Net().eval()
    x = torch.rand(1, 3, 8, 8)
    expected = net(x)['image']
    reduce_precision(net, torch.bfloat16)
    assert torch.equal(net(x)['image'], expected)
    assert arch.seen['features'] == torch.float32


def test_positions_are_not_rounded(arch: Any) -> None:
    """bfloat16 counts 256, 258, 260: a warp by nothing would move every other column."""
    image = torch.rand(1, 4, 2, 600).bfloat16()
    still = torch.zeros(1, 2, 600, 2)
    with torch.autocast('cpu', torch.bfloat16):
        assert not torch.allclose(arch.flow_warp(image, still).float(), image.float(), atol=0.05)
    reduce_precision(arch.Net(), torch.bfloat16)
    with torch.autocast('cpu', torch.bfloat16):
        # (a position goes through [-1, 1] and back; rounding to the nearest bfloat16 may then differ in its last bit)
        for function in (arch.flow_warp, sys.modules['somebodys_util'].flow_warp, arch.warp_twice):
            warped = function(image, still)
            assert warped.dtype == torch.bfloat16
            assert torch.allclose(warped.float(), image.float(), atol=2**-8)


def test_a_function_is_wrapped_once_and_others_not_at_all(arch: Any) -> None:
    double = arch.double
    reduce_precision(arch.Net(), torch.bfloat16)
    warp = arch.flow_warp
    assert sys.modules['somebodys_util'].flow_warp is warp
    assert reduce_precision(arch.Net(), torch.bfloat16)[-1] == 'flow_warp'
    assert arch.flow_warp is warp and arch.double is double


def test_a_wrapped_function_does_to_float32_what_it_did(arch: Any) -> None:
    image, flow = torch.rand(1, 2, 5, 9), torch.rand(1, 5, 9, 2)
    assert torch.equal(float32_function(arch.flow_warp)(image, flow), arch.flow_warp(image, flow))
    assert float32_function(lambda text: text)('as it is') == 'as it is'


def test_a_copy_runs_its_own_weights(arch: Any) -> None:
    net = arch.Net()
    reduce_precision(net, torch.bfloat16)
    other = copy.deepcopy(net)
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(other(x)['image'], net(x)['image'])
    for parameter in other.parameters():
        parameter.data.zero_()
    assert not other(x)['image'].any() and net(x)['image'].any()
    assert other.state_dict().keys() == net.state_dict().keys() == arch.Net().state_dict().keys()


@pytest.mark.parametrize('reentrant', [True, False])
def test_activations_computed_again_are_the_same(arch: Any, reentrant: bool) -> None:
    class Plain(arch.Net):  # type: ignore[misc, name-defined]
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x)['image']

    class Checkpointed(Plain):
        def forward(self, x: torch.Tensor) -> Any:
            return torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=reentrant)

    gradients = []
    for kind in (Checkpointed, Plain):
        torch.manual_seed(0)
        net = kind()
        reduce_precision(net, torch.bfloat16)
        net(torch.rand(1, 3, 8, 8).requires_grad_()).square().sum().backward()
        gradients.append([p.grad for p in net.parameters()])
    assert all(torch.equal(mine, other) for mine, other in zip(*gradients, strict=True))


class Pair(NamedTuple):
    first: Any
    second: Any


def test_tensors_are_found_in_any_nesting() -> None:
    half = torch.zeros(2, dtype=torch.float16)
    whole = torch.zeros(2, dtype=torch.int64)
    double = torch.zeros(2, dtype=torch.float64)
    value = {'a': [half, (whole, 'text')], 'b': Pair(double, {'c': half})}
    result = converted(value, to_float32)
    assert result['a'][0].dtype == torch.float32 and result['b'].second['c'].dtype == torch.float32
    assert result['a'][1][0] is whole and result['b'].first is double and result['a'][1][1] == 'text'
    assert type(result['b']) is Pair and type(result['a'][1]) is tuple


class RAFT(nn.Identity):
    pass


class MyFlow_Net(nn.Identity):
    pass


def test_flow_networks_are_known_by_class_or_name() -> None:
    net = nn.ModuleDict(
        {'estimator': RAFT(), 'other': MyFlow_Net(), 'my_spynet': nn.Identity(), 'trunk': nn.Identity()}
    )
    assert reduce_precision(net, torch.bfloat16) == ['estimator', 'other', 'my_spynet']
