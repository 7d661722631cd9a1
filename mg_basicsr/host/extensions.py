"""List of all extensions, in the order in which they are attached and wrap the training step, the innermost first."""

from __future__ import annotations

from collections.abc import Callable

from mg_basicsr.data.sampling.permutation import mix
from mg_basicsr.host.clean_end import CleanEnd
from mg_basicsr.host.data.delivery import DeliveredBatches
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.at_start import ShapesAtStart
from mg_basicsr.host.trial.passes import PassesAtStart
from mg_basicsr.training.acceleration import ChannelsLast, CompiledParts, KernelChoice, OptimizerForm
from mg_basicsr.training.allocator import FreedMemory
from mg_basicsr.training.batch_norm.planned import PlannedNorm
from mg_basicsr.training.deferred_reads import DeferredReads
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.own_state import OwnState
from mg_basicsr.training.precision.gradient_guard import GradientGuard
from mg_basicsr.training.precision.reduced import ReducedPrecision
from mg_basicsr.training.rates import PlannedRates

_OWN = 7  # stream of random numbers of generators that a model holds itself


def extensions_of(run: Run) -> list[Extension]:
    """Return new extensions for a run: those of EXTENSIONS that its settings enable."""
    return [extension for make in EXTENSIONS if (extension := make(run)) is not None]


def _micro_batches(run: Run) -> Extension | None:
    return MicroBatches() if any(batch.accumulate > 1 for batch in run.plan.batches) else None


def _reduced_precision(run: Run) -> Extension | None:
    precision = run.settings.block.precision
    return ReducedPrecision(precision) if precision != 'float32' else None


def _gradient_guard(run: Run) -> Extension | None:
    def report(line: str) -> None:
        logger().warning(f'multigrid: iteration {run.iteration:,}: {line}')

    precision = run.settings.block.precision
    return GradientGuard(precision, report) if precision != 'float32' else None


def _own_state(run: Run) -> Extension:
    def report(line: str) -> None:
        logger().warning(f'multigrid: iteration {run.iteration:,}: {line}')

    return OwnState(lambda iteration: mix(run.settings.seed, _OWN, iteration), report)


def _planned_norm(run: Run) -> Extension | None:
    size = run.settings.sub_batch_norm
    return PlannedNorm(run.plan, size) if size else None


def _kernels(run: Run) -> Extension | None:
    block = run.settings.block
    asked = block.tf32 is not None or block.cudnn_benchmark is not None
    return KernelChoice(block.tf32, block.cudnn_benchmark) if asked else None


def _channels_last(run: Run) -> Extension | None:
    return ChannelsLast() if run.settings.block.channels_last else None


def _compiled_parts(run: Run) -> Extension | None:
    shapes = {(batch.clips_per_rank, batch.shape) for batch in run.plan.batches}
    return CompiledParts(len(shapes)) if run.settings.block.compile else None


def _passes_at_start(run: Run) -> Extension | None:
    return PassesAtStart(run) if run.specification.in_loop and _micro_batches(run) else None


def _shapes_at_start(run: Run) -> Extension | None:
    return ShapesAtStart(run) if run.specification.in_loop and run.settings.block.check else None


EXTENSIONS: list[Callable[[Run], Extension | None]] = [
    # First: optimisers get their initial rates before anything wraps their steps.
    lambda run: PlannedRates(),
    # Innermost around the step: the extensions around it see one step, however many passes it has.
    _micro_batches,
    # Before anything replaces parts of the networks, so that these parts run under autocast.
    _reduced_precision,
    # Around all passes: a step is skipped or taken as a whole.
    _gradient_guard,
    # The next three change networks or the process, not the step, so that their order does not matter.
    _planned_norm,
    _kernels,
    _channels_last,
    # Always: a run without the fused form may resume from the state of one with it.
    lambda run: OptimizerForm(run.settings.block.fused_optimizer),
    # After everything that replaces parts of the networks: the result is compiled.
    _compiled_parts,
    # Around all of the above, so that its trial steps include them, and inside of all below, which trial steps skip.
    _shapes_at_start,
    # Around it: shapes are tried only with passes that are known to be exact.
    _passes_at_start,
    # It changes nothing of a step. In a list that others read it is after what has a state of its own.
    _own_state,
    # Outside of the trial steps: their checks are made at once, and leave no trace.
    lambda run: DeferredReads(),
    # Outside of the trial steps: memory is kept only after them.
    lambda run: FreedMemory(),
    # Outside of the trial steps too, whose batches are not the plan's. Not optional: it holds for every run.
    lambda run: DeliveredBatches(run) if run.specification.in_loop else None,
    # Outermost: an error of any of the others ends the process as the user's errors do.
    lambda run: CleanEnd() if run.specification.in_loop else None,
]
