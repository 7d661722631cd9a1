"""What every extension promises: off it changes no bit, a resumed run goes on to the bit, a trial leaves no trace, and
all of that holds beside every other extension.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mg_basicsr import patching
from mg_basicsr.errors import EXIT_CODE, ConfigError, Problem, TrainingError
from mg_basicsr.host import extensions as table
from mg_basicsr.host.clean_end import CleanEnd
from mg_basicsr.host.data.delivery import DeliveredBatches
from mg_basicsr.host.extensions import EXTENSIONS, extensions_of
from mg_basicsr.host.trial.at_start import ShapesAtStart
from mg_basicsr.host.trial.passes import PassesAtStart
from mg_basicsr.training.acceleration import ChannelsLast, CompiledParts, KernelChoice, OptimizerForm
from mg_basicsr.training.allocator import FreedMemory
from mg_basicsr.training.batch_norm.planned import PlannedNorm
from mg_basicsr.training.deferred_reads import DeferredReads
from mg_basicsr.training.extension import Extension, extend, stateful
from mg_basicsr.training.host_model import trained_networks
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.own_state import OwnState
from mg_basicsr.training.precision.gradient_guard import GradientGuard
from mg_basicsr.training.precision.reduced import ReducedPrecision
from mg_basicsr.training.rates import PlannedRates
from mg_basicsr.training.trial.snapshot import on_trial
from tests.helpers.checkpoints import first_difference
from tests.helpers.small_model import SmallModel, everything, extended, load, plan, saved, train

TOTAL = plan().total_iter


class Loader:
    """Has delivered the mini-batch of the run's iteration."""

    run: Any

    @property
    def delivered(self) -> int:
        return self.run.iteration - 1


def run(**block: Any) -> Any:
    """A run whose clock follows the steps that are made."""
    values = {'precision': 'float32', 'tf32': None, 'cudnn_benchmark': None, 'channels_last': False, 'compile': False,
              'fused_optimizer': False, 'check': False, **block}  # fmt: skip
    settings = SimpleNamespace(block=SimpleNamespace(**values), sub_batch_norm=block.get('sub_batch_norm', 0), seed=0)
    found = SimpleNamespace(
        specification=SimpleNamespace(in_loop=True), settings=settings, plan=plan(), iteration=1, loader=Loader(),
        clock=SimpleNamespace(trained=0), has_loader=False,
    )  # fmt: skip
    found.loader.run = found
    return found


# In the order of the list; whether steps are to be made in several passes.
MAKE: dict[str, Callable[[], Extension]] = {
    'rates': PlannedRates,
    'micro_batches': MicroBatches,
    'precision': lambda: ReducedPrecision('bfloat16'),
    'guard': lambda: GradientGuard('float16'),
    'norm': lambda: PlannedNorm(plan(), 2),
    'kernels': lambda: KernelChoice(tf32=False, try_kernels=False),
    'channels_last': ChannelsLast,
    'fused': lambda: OptimizerForm(fused=True),
    'unfused': lambda: OptimizerForm(fused=False),
    'own_state': lambda: OwnState(lambda iteration: iteration),
    'deferred_reads': DeferredReads,
    'freed_memory': FreedMemory,
    'delivered': lambda: DeliveredBatches(run()),
    'clean_end': CleanEnd,
}
# tests/integration/test_check.py and test_micro_batches.py, with a real run; below, slow
ELSEWHERE = {ShapesAtStart, PassesAtStart, CompiledParts}
PAIRS = [pair for pair in combinations(MAKE, 2) if pair != ('fused', 'unfused')]
SETS = [*((name,) for name in MAKE), *PAIRS, tuple(name for name in MAKE if name != 'unfused')]


@pytest.fixture(autouse=True)
def patches_undone() -> Iterator[None]:
    before = len(patching.in_force())
    yield
    patching.undo(before)


def made(names: tuple[str, ...]) -> list[Extension]:
    return with_clock([MAKE[name]() for name in names])


def without_trials(extensions: list[Extension]) -> list[Extension]:
    """Without those that read clips of the run's data set."""
    return with_clock([extension for extension in extensions if not isinstance(extension, PassesAtStart)])


def with_clock(extensions: list[Extension]) -> list[Extension]:
    """Let the clock of the run of DeliveredBatches follow the steps, as a train loop does."""
    for extension in extensions:
        if isinstance(extension, DeliveredBatches):
            one = extension.run
            extension.before_step = lambda step, one=one: setattr(one, 'iteration', step.iteration + 1)  # type: ignore[method-assign]
    return extensions


def test_every_extension_of_the_package_is_tried_here() -> None:
    package = {cls for cls in vars(table).values() if inspect.isclass(cls) and issubclass(cls, Extension)}
    assert package - {Extension} == {type(make()) for make in MAKE.values()} | ELSEWHERE


def test_what_is_off_is_not_there() -> None:
    names = [extension.name for extension in extensions_of(run())]
    always = [
        'rates',
        'micro_batches',
        'fused_optimizer',
        'passes_at_start',
        'own_state',
        'deferred_reads',
        'freed_memory',
    ]
    assert names == [*always, 'delivered_batches', 'clean_end']
    outside_a_loop = run()
    outside_a_loop.specification.in_loop = False
    outside = [extension.name for extension in extensions_of(outside_a_loop)]
    assert outside == [name for name in always if name != 'passes_at_start']
    for option, value, name in [('precision', 'bfloat16', 'grad_scaler'), ('channels_last', True, 'channels_last'),
                                ('compile', True, 'compile'), ('sub_batch_norm', 2, 'sub_batch_norm'),
                                ('tf32', False, 'kernels'), ('check', True, 'shapes_at_start')]:  # fmt: skip
        assert name in [extension.name for extension in extensions_of(run(**{option: value}))]


def test_what_is_always_there_changes_no_bit() -> None:
    plain, extensions = SmallModel(), without_trials(extensions_of(run()))
    model = extended(*extensions)
    train(plain, [], 0, TOTAL)
    train(model, extensions, 0, TOTAL)
    assert first_difference(everything(model, [])['net_g'], everything(plain, [])['net_g']) is None


@pytest.mark.parametrize('names', SETS, ids='+'.join)
def test_a_resumed_run_goes_on_to_the_bit(names: tuple[str, ...]) -> None:
    whole, passes = made(names), 'micro_batches' in names
    undisturbed = extended(*whole)
    train(undisturbed, whole, 0, 3, passes)
    checkpoint = saved(undisturbed, whole)
    train(undisturbed, whole, 3, TOTAL, passes)

    resumed = made(names)
    model = extended(*resumed)
    load(checkpoint, model, resumed)
    assert first_difference(everything(model, resumed), everything(undisturbed, whole)) is not None  # it can fail
    train(model, resumed, 3, TOTAL, passes)
    assert first_difference(everything(model, resumed), everything(undisturbed, whole)) is None


@pytest.mark.parametrize('names', SETS, ids='+'.join)
def test_a_trial_leaves_no_trace(names: tuple[str, ...]) -> None:
    extensions, passes = made(names), 'micro_batches' in names
    model = extended(*extensions)
    train(model, extensions, 0, 2, passes)
    before = everything(model, extensions)
    with on_trial(model, stateful(extensions)), ExitStack() as stack:
        for extension in extensions:
            stack.enter_context(extension.trial())
        for _ in range(2):
            model.feed_data({'lq': torch.rand(4, 3, 8, 8) * torch.inf, 'gt': torch.rand(4, 3, 8, 8)})
            model.optimize_parameters(2)
        assert first_difference(everything(model, extensions), before) is not None  # it can fail
    assert first_difference(everything(model, extensions), before) is None
    train(model, extensions, 2, TOTAL, passes)

    never = made(names)
    other = extended(*never)
    train(other, never, 0, TOTAL, passes)
    assert first_difference(everything(model, extensions), everything(other, never)) is None


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:The .grad attribute of a Tensor:UserWarning')  # of torch's own compiler
def test_compiled_parts_resume_to_the_bit() -> None:
    whole = [CompiledParts(3)]
    undisturbed = extended(*whole)
    train(undisturbed, whole, 0, 3)
    checkpoint = saved(undisturbed, whole)
    train(undisturbed, whole, 3, TOTAL)
    resumed = [CompiledParts(3)]
    model = extended(*resumed)
    load(checkpoint, model, resumed)
    train(model, resumed, 3, TOTAL)
    assert first_difference(everything(model, resumed), everything(undisturbed, whole)) is None


def test_the_step_is_replaced_once() -> None:
    extended(*made(('rates', 'micro_batches', 'guard', 'freed_memory', 'clean_end')))
    (patch,) = [patch for patch in patching.in_force() if patch.name == 'optimize_parameters']
    assert patch.reason == 'training step with micro_batches, grad_scaler, freed_memory, clean_end'


def test_a_step_on_another_mini_batch_is_refused() -> None:
    one = run()
    model = extended(DeliveredBatches(one))
    model.feed_data({'lq': torch.rand(2, 3, 8, 8), 'gt': torch.rand(2, 3, 8, 8)})
    model.optimize_parameters(1)
    for delivered, told in ((None, 'no mini-batch of the plan'), (2, 'the mini-batch of iteration 3')):
        one.loader = SimpleNamespace(delivered=delivered)
        with pytest.raises(TrainingError, match=f'the step of iteration 1 with {told}'):
            model.optimize_parameters(1)


def test_an_error_of_the_user_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    model: Any = SmallModel()

    def wrong(current_iter: int) -> None:
        raise ConfigError(Problem('multigrid.spatial', 'wrong'))

    model.optimize_parameters = wrong
    extend(model, [CleanEnd()])
    with pytest.raises(SystemExit) as ended:
        model.optimize_parameters(1)
    assert ended.value.code == EXIT_CODE and 'multigrid.spatial: wrong' in capsys.readouterr().err


class Clipped(Extension):
    """A toy: gradients clipped to a norm of 1, at each optimiser's step."""

    name = 'clipped'

    def attach(self, model: Any) -> list[str]:
        self.clipped = 0
        for optimizer in model.optimizers:
            optimizer.register_step_pre_hook(self._clip)
        return [f'{", ".join(trained_networks(model))}: gradients clipped']

    def _clip(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            self.clipped += bool(torch.nn.utils.clip_grad_norm_(group['params'], 1.0) > 1)

    def state_dict(self) -> dict[str, Any]:
        return {'clipped': self.clipped}

    def load_state_dict(self, state: Any) -> None:
        self.clipped = state['clipped']


def test_a_new_extension_is_a_class_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, 'EXTENSIONS', [*EXTENSIONS, lambda run: Clipped()])
    extensions, log = without_trials(extensions_of(run())), list[str]()
    model: Any = SmallModel()
    extend(model, extensions, log.append)
    train(model, extensions, 0, 2)
    assert 'net_g: gradients clipped' in log and list(stateful(extensions)) == ['own_state', 'clipped']
