"""Measurement: is the gradient of a step in two passes that of one pass over the same clips?

The model's own step is made both ways and the gradients are compared as they reach each optimiser. Whether the passes'
gradients are to be averaged or added up is found in the same way.

It is made in float64 where the networks can be cast. What is known to see the passes and not the batch is set aside:
layers with statistics (batch norm, spectral norm) and random layers are in evaluation mode. So are reduced precision,
compiled parts and sub-batch norm, by the networks' own forward passes. What else draws random numbers draws the
same for every clip: tensors of one number, and numbers from generators that are seeded alike before each pass.

A step that counts iterations (`current_iter % 16 == 0`) is measured at each of ITERATIONS whose gradient is another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import default_collate

from mg_basicsr.patching import replaced
from mg_basicsr.training.gradient_handling import counts_iterations
from mg_basicsr.training.host_model import HostModel, feed_for_training, held_modules
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.precision.reduced import converted
from mg_basicsr.training.seeding import OwnGenerators, seed_everything
from mg_basicsr.training.step_arguments import Batch
from mg_basicsr.training.trial.gradient_watch import GradientWatch
from mg_basicsr.training.trial.snapshot import Snapshot
from mg_basicsr.training.trial.steps import attempt

# Relative difference of gradients that rounding may cause: it was about 1e-13 and 5e-5 with BasicSR's networks.
ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-3}
MOST_NOISE = 1e-3  # more between one pass and its repetition: the step draws random numbers that differ by clip
NOISE_FACTOR = 30  # passes differ from one by at most so much more than one differs from its repetition
ITERATIONS = 16  # at most, to see every optimiser step: GANs leave some out; and the period of most regularisers

# Operators of torch whose results are drawn element by element
DRAWS = (
    'rand_like',
    'randn',
    'rand.',
    'uniform',
    'normal',
    'bernoulli',
    'exponential',
    'cauchy',
    'log_normal',
    'poisson',
)

# By optimiser, by step, by parameter; None for a parameter without a gradient
Gradients = list[list[list[torch.Tensor | None]]]


class Measured(NamedTuple):
    """Result of a measurement.

    Attributes:
        mean: The passes' gradients are to be averaged; else added up.
        difference: Of the gradient in two passes, relative to one pass: the optimiser's with the largest.
        tolerance: What rounding explains.
        unknown: Why there is no result; '' if there is one.
        random: Whether that is because the step draws random numbers.
        changed: Whether the step changes gradients between the backward pass and the optimiser, as clipping does.
    """

    mean: bool = True
    difference: float = 0.0
    tolerance: float = 0.0
    unknown: str = ''
    random: bool = False
    changed: bool = False


def measure_passes(
    model: HostModel,
    micro: MicroBatches,
    clips: Sequence[dict[str, Any]],
    as_fed: Callable[[Any, int], Batch],
    make: Callable[[int], Callable[[], Any]],
    last: int,
) -> Measured:
    """Compare one pass with two. The model is changed: use it inside `on_trial`.

    Args:
        model: The model.
        micro: Its extension for several passes.
        clips: An even number of samples, as different as possible.
        as_fed: From a collated batch and a number of parts to the batch that is fed.
        make: From an iteration (1-based) to its training step, without a mini-batch, through `micro` alone.
        last: The last iteration measured, 1-based; earlier ones follow until every optimiser has stepped, and then the
            first, which may have other losses.

    Returns:
        The result; `unknown` where the step cannot be measured.
    """
    found = Measured()
    names = (
        ('', 'drop')
        if any('drop' in _kind(module) for root in held_modules(model) for module in root.modules())
        else ('',)
    )
    for dtype, random_name in product((torch.float64, torch.float32), names):
        before = Snapshot(model)
        results: list[Measured] = []

        def compare(
            dtype: torch.dtype = dtype, random_name: str = random_name, results: list[Measured] = results
        ) -> None:
            draws = EqualDraws()  # type: ignore[no-untyped-call]
            with _set_aside(model, micro, random_name), _computing_in(model, dtype), draws:
                results.append(_compare(model, micro, clips, as_fed, make, last, dtype))

        failure = attempt(compare, torch.device(model.device))
        before.restore()
        if not failure and (not results[0].random or random_name == names[-1]):
            return results[0]
        found = Measured(unknown=failure.message) if failure else results[0]
        if failure and failure.final:
            break
    return found


class EqualDraws(TorchDispatchMode):
    """Give every element of a tensor of random numbers the same value, so that it does not depend on the pass."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name.startswith(DRAWS) and isinstance(result, torch.Tensor) and result.is_floating_point():
            result.fill_(1.0 if name.startswith('bernoulli') else 0.375)
        if name.startswith('_foreach_') and name.endswith('_'):
            # Below a dispatch mode, torch does not count these changes, which GradientWatch looks for.
            for tensor in args[0]:
                torch.autograd.graph.increment_version(tensor)
        return result


def _compare(
    model: HostModel,
    micro: MicroBatches,
    clips: Sequence[dict[str, Any]],
    as_fed: Callable[[Any, int], Batch],
    make: Callable[[int], Callable[[], Any]],
    last: int,
    dtype: torch.dtype,
) -> Measured:
    def cast(samples: Sequence[dict[str, Any]]) -> Any:
        batch = default_collate(list(samples))
        return converted(batch, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    start, own = Snapshot(model), OwnGenerators(model)

    def gradients(samples: Sequence[dict[str, Any]], parts: int, iteration: int, seed: int = 0) -> Gradients:
        start.restore()
        seed_everything(seed)
        own.seed(seed)
        fed = as_fed(cast(samples), parts)  # before the default type changes anything
        feed = micro.feed

        def feed_seeded(part: Any) -> None:
            seed_everything(seed)
            own.seed(seed)
            feed(part)

        with replaced(micro, 'feed', feed_seeded):
            return _gradients(model, fed, make(iteration), watch)

    watch, counts = GradientWatch(model), counts_iterations(model)
    missing = set(range(len(model.optimizers)))
    noise, as_mean, as_sum = 0.0, 0.0, 0.0
    seen: list[Gradients] = []
    for iteration in (*range(last, max(last - ITERATIONS, 1), -1), 1):
        if not missing and not counts and iteration > 1:
            continue
        whole = gradients(clips, 1, iteration)
        if watch.changed:
            return Measured(changed=True)
        every = counts or iteration == 1
        stepped = [n for n, steps in enumerate(whole) if steps and (every or n in missing)]
        if not stepped or any(_same(whole, earlier) for earlier in seen):
            continue
        seen.append(whole)
        other = gradients(clips[::-1], 1, iteration, seed=1)
        divided = gradients(clips, 2, iteration)
        for n in stepped:
            noise = max(noise, _difference(whole[n], other[n], 1.0))
            as_mean = max(as_mean, _difference(whole[n], divided[n], 0.5))
            as_sum = max(as_sum, _difference(whole[n], divided[n], 1.0))
        missing -= set(stepped)
    found = Measured(as_mean <= as_sum, min(as_mean, as_sum), ROUNDING[dtype])
    if math.isfinite(noise) and noise <= MOST_NOISE:
        return found._replace(tolerance=max(ROUNDING[dtype], NOISE_FACTOR * noise))
    if math.isfinite(noise) and found.difference <= found.tolerance:
        return found
    return Measured(unknown=f'repeated with other random numbers, one pass differs by {noise:.1e}', random=True)


def _gradients(model: HostModel, batch: Batch, step: Callable[[], Any], watch: GradientWatch) -> Gradients:
    """Return the gradients that reach the optimisers, the sum of all passes. Weights move as an optimiser moves them.

    They move since a model may use what one optimiser has changed in the loss of the next.
    """
    noted: Gradients = [[] for _ in model.optimizers]
    with ExitStack() as stack:
        if hasattr(model, 'model_ema'):
            stack.enter_context(replaced(model, 'model_ema', lambda *args, **kwargs: None))
        for optimizer, steps in zip(model.optimizers, noted, strict=True):
            stack.enter_context(replaced(optimizer, 'step', _noting(optimizer, steps, watch)))
        stack.enter_context(watch)
        feed_for_training(model)(batch)
        step()
    return noted


def _noting(
    optimizer: torch.optim.Optimizer, steps: list[list[torch.Tensor | None]], watch: GradientWatch
) -> Callable[..., None]:
    @torch.no_grad()
    def step(*args: Any, **kwargs: Any) -> None:
        gradients: list[torch.Tensor | None] = []
        for group in optimizer.param_groups:
            for parameter in group['params']:
                watch.compare(parameter)
                gradient = parameter.grad
                gradients.append(None if gradient is None else gradient.detach().clone())
                if gradient is not None and (largest := float(gradient.abs().max())) > 0:
                    parameter.sub_(gradient * (group.get('initial_lr', 1e-4) / largest))
        steps.append(gradients)

    return step


def _same(one: Gradients, other: Gradients) -> bool:
    """Return whether two steps have the same gradients, up to rounding."""
    return all(_difference(mine, theirs, 1.0) < 1e-12 for mine, theirs in zip(one, other, strict=True))


def _difference(one: list[list[torch.Tensor | None]], other: list[list[torch.Tensor | None]], share: float) -> float:
    """Return the norm of one - share * other, relative to the norm of one; the largest of all steps of an optimiser."""
    if len(one) != len(other):
        return math.inf
    worst = 0.0
    for mine, theirs in zip(one, other, strict=True):
        norm = difference = 0.0
        for a, b in zip(mine, theirs, strict=True):
            a, b = (None if x is None else x.double() for x in (a, b))
            if a is not None:
                norm += float(a.square().sum())
            rest = a if b is None else -share * b if a is None else a - share * b
            if rest is not None:
                difference += float(rest.square().sum())
        worst = max(worst, math.sqrt(difference / norm) if norm else math.sqrt(difference))
        if math.isnan(difference) or math.isnan(norm):
            return math.inf
    return worst


@contextmanager
def _computing_in(model: HostModel, dtype: torch.dtype) -> Iterator[None]:
    """Cast the model's networks and losses; what makes tensors without a type makes them in this one."""
    if dtype is torch.float64:
        for module in held_modules(model):
            module.double()
            module.zero_grad()  # gradients have the type of their parameters
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


@contextmanager
def _set_aside(model: HostModel, micro: MicroBatches, random_name: str) -> Iterator[None]:
    """Switch off what depends on the division by design, and what computes with less precision.

    Args:
        model: The model.
        micro: Its extension for several passes.
        random_name: Part of the class names of layers that are to be taken for random ones; '' for none.
    """
    with ExitStack() as stack:
        stack.enter_context(replaced(micro, 'mean', False))  # the sum of the passes is compared
        for module, forward in micro.plain_forwards:
            if forward is not vars(module).get('forward'):
                stack.enter_context(_with_forward(module, forward))
        for root in held_modules(model):
            for module in root.modules():
                if _sees_passes(module) or (random_name and random_name in _kind(module)):
                    module.eval()
                    stack.enter_context(replaced(module, 'train', lambda mode=True, module=module: module))
        yield


@contextmanager
def _with_forward(module: nn.Module, forward: Any) -> Iterator[None]:
    """Give a module another `forward`, or its class's for None, and restore it at the end."""
    now = vars(module).pop('forward', None)
    if forward is not None:
        module.forward = forward
    try:
        yield
    finally:
        vars(module).pop('forward', None)
        if now is not None:
            module.forward = now


def _sees_passes(module: nn.Module) -> bool:
    """Whether a layer keeps statistics of what passes through it, or is one of torch's random layers.

    A spectral norm of a repository's own is taken by its name, if it keeps a state that no optimiser trains.
    """
    if isinstance(module, (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, _SpectralNorm)):
        return True
    if any(isinstance(hook, SpectralNorm) for hook in module._forward_pre_hooks.values()):
        return True
    state = [*module.buffers(), *(parameter for parameter in module.parameters() if not parameter.requires_grad)]
    return 'spectralnorm' in _kind(module) and bool(state)


def _kind(module: nn.Module) -> str:
    return type(module).__name__.lower()
