"""Faster steps that compute the same, and leave parameters' names and states as they are."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mg_basicsr.errors import TrainingError
from mg_basicsr.training import acceleration
from mg_basicsr.training.acceleration import (
    ChannelsLast,
    CompiledForward,
    KernelChoice,
    allow_tf32,
    compile_parts,
    fuse,
    settle,
)


class Net(nn.Module):
    """Frames one after another through parts of every kind: a module, lists, a dictionary, one without weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1)])
        self.branches = nn.ModuleDict({'a': nn.ModuleList([nn.Conv2d(8, 3, 3, padding=1)])})
        self.activation = nn.LeakyReLU(0.1)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        frames = [self.activation(self.blocks[0](self.head(clips[:, i]))) for i in range(clips.size(1))]
        return torch.stack([self.branches['a'][0](frame) for frame in frames], 1)


def clips(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> list[torch.Tensor]:
    for step in range(steps):
        optimizer.zero_grad()
        F.mse_loss(network(clips(step)), clips(step) ** 2).backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


def adam(network: nn.Module, kind: type = torch.optim.Adam) -> torch.optim.Optimizer:
    return kind(network.parameters(), lr=1e-2)


def assert_close(first: list[torch.Tensor], second: list[torch.Tensor]) -> None:
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_channels_last_moves_weights_in_memory_alone() -> None:
    plain, arranged = Net(), Net()
    ChannelsLast().arrange(arranged)
    assert plain.head.weight.stride() != arranged.head.weight.stride()
    assert plain.state_dict().keys() == arranged.state_dict().keys()
    assert all(torch.equal(value, arranged.state_dict()[key]) for key, value in plain.state_dict().items())
    parameters = list(arranged.parameters())
    assert_close(train(plain, adam(plain)), train(arranged, adam(arranged)))
    assert all(mine is parameter for mine, parameter in zip(arranged.parameters(), parameters, strict=True))


@pytest.mark.parametrize('kind', [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_a_fused_optimiser_takes_the_same_steps(kind: type) -> None:
    plain, other = Net(), Net()
    fused = adam(other, kind)
    fuse(fused)
    assert fused.param_groups[0]['fused'] is True
    assert_close(train(plain, adam(plain, kind)), train(other, fused))
    assert fused.state_dict()['state'].keys() == adam_state(plain, kind).keys()


def adam_state(network: nn.Module, kind: type) -> dict[int, object]:
    optimizer = adam(network, kind)
    train(network, optimizer, 1)
    return dict(optimizer.state_dict()['state'])


@pytest.mark.parametrize('kind', [torch.optim.Adamax, torch.optim.ASGD, torch.optim.Rprop])
def test_an_optimiser_without_a_fused_form_is_named(kind: type) -> None:
    optimizer = adam(Net(), kind)
    with pytest.raises(TrainingError, match=rf'multigrid\.fused_optimizer: true, but {kind.__name__} has no'):
        fuse(optimizer)
    assert 'fused' not in optimizer.param_groups[0]


@pytest.mark.parametrize('before', [False, True])
@pytest.mark.parametrize('after', [False, True])
def test_a_state_saved_in_either_form_is_continued_in_either(before: bool, after: bool) -> None:
    """The second half of a run whose options were changed between the halves, against the run left alone."""
    whole = Net()
    whole_optimizer = adam(whole)
    train(whole, whole_optimizer, 4)
    expected = train(whole, whole_optimizer, 4)

    first = Net()
    optimizer = adam(first)
    if before:
        ChannelsLast().arrange(first)
        fuse(optimizer)
    train(first, optimizer, 4)
    state = copy.deepcopy(optimizer.state_dict())

    second = Net()
    second.load_state_dict(first.state_dict())
    optimizer = adam(second)
    if after:
        ChannelsLast().arrange(second)
        fuse(optimizer)
    optimizer.load_state_dict(state)
    settle(optimizer, fused=after)
    assert bool(optimizer.param_groups[0]['fused']) is after
    for parameter in second.parameters():
        assert optimizer.state[parameter]['exp_avg'].stride() == parameter.stride()
    assert_close(train(second, optimizer, 4), expected)


def test_settling_keeps_the_form_that_the_options_file_gave_the_optimiser() -> None:
    network = Net()
    saved = torch.optim.Adam(network.parameters(), foreach=True)
    train(network, saved, 1)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    optimizer.load_state_dict(saved.state_dict())
    settle(optimizer, fused=False)
    assert optimizer.param_groups[0]['fused'] is True and optimizer.param_groups[0]['foreach'] is None
    train(network, optimizer, 1)


def test_settling_leaves_an_optimiser_without_a_fused_form_alone() -> None:
    network = Net()
    optimizer = adam(network, torch.optim.Adamax)
    train(network, optimizer, 2)
    before = copy.deepcopy(optimizer.state_dict())
    settle(optimizer, fused=False)
    assert optimizer.state_dict()['param_groups'] == before['param_groups']
    for n, state in optimizer.state_dict()['state'].items():
        assert all(torch.equal(value, before['state'][n][name]) for name, value in state.items())


@pytest.fixture
def flags() -> Iterator[None]:
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = benchmark


@pytest.mark.parametrize('on', [True, False])
@pytest.mark.usefixtures('flags')
def test_switches(on: bool) -> None:
    allow_tf32(on)
    KernelChoice(tf32=None, try_kernels=on).attach(None)  # type: ignore[arg-type]
    assert torch.backends.cuda.matmul.allow_tf32 is on
    assert torch.backends.cudnn.allow_tf32 is on
    assert torch.backends.cudnn.benchmark is on


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """torch.compile replaced by a note of what runs compiled: no compiler is needed."""
    runs: list[str] = []

    def fake(function, **options):  # type: ignore[no-untyped-def]
        def compiled(*args, **kwargs):  # type: ignore[no-untyped-def]
            runs.append(getattr(function, '__self__', function).__class__.__name__)
            return function(*args, **kwargs)

        return compiled

    monkeypatch.setattr(torch, 'compile', fake)
    return runs


def test_parts_are_compiled_for_training_alone(compilations: list[str]) -> None:
    network, plain = Net(), Net()
    assert compile_parts(network, shapes=6) == ['head', 'blocks.0', 'branches.a.0']
    assert network.state_dict().keys() == plain.state_dict().keys()
    del compilations[:]
    assert torch.equal(network.eval()(clips()), plain(clips()))
    assert compilations == []
    assert torch.equal(network.train()(clips()), plain(clips()))
    assert len(compilations) == 9  # three parts, three frames


@pytest.mark.usefixtures('compilations')
def test_a_copy_of_a_compiled_network_runs_on_its_own_weights() -> None:
    network = Net()
    compile_parts(network, shapes=1)
    other = copy.deepcopy(network)
    assert isinstance(network.head.forward, CompiledForward) and not isinstance(other.head.forward, CompiledForward)
    with torch.no_grad():
        other.head.weight.zero_()
    assert not torch.equal(network(clips()), other(clips()))


@pytest.mark.usefixtures('compilations')
def test_a_form_for_each_shape() -> None:
    name = 'recompile_limit' if hasattr(torch._dynamo.config, 'recompile_limit') else 'cache_size_limit'
    before = getattr(torch._dynamo.config, name)
    try:
        compile_parts(Net(), shapes=100)
        assert getattr(torch._dynamo.config, name) == 208
    finally:
        setattr(torch._dynamo.config, name, before)


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(function, **options):  # type: ignore[no-untyped-def]
        def call(*args):  # type: ignore[no-untyped-def]
            raise RuntimeError('\nNo working C++ compiler found\nin many places')

        return call

    monkeypatch.setattr(acceleration.torch, 'compile', missing)
    network = Net()
    with pytest.raises(TrainingError, match=r'multigrid\.compile: true, but .* \(No working C\+\+ compiler found\)'):
        compile_parts(network, shapes=1)
    assert 'forward' not in vars(network.head)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # the compiler's own
def test_compiled_training_stays_within_rounding() -> None:
    plain, compiled = Net(), Net()
    compile_parts(compiled, shapes=1)
    assert_close(train(plain, adam(plain)), train(compiled, adam(compiled)))
