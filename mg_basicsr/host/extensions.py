"""The extensions of a run, in one ordered list.

The order is that of attaching, and of wrapping the training step from the inside to the outside.
"""

from __future__ import annotations

from collections.abc import Callable

from mg_basicsr.host.clean_end import CleanEnd
from mg_basicsr.host.data.delivery import DeliveredBatches
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.at_start import ShapesAtStart
from mg_basicsr.host.trial.passes import PassesAtStart
from mg_basicsr.schedule.plan import RankBatch
from mg_basicsr.training.acceleration import ChannelsLast, CompiledParts, KernelChoice, OptimizerForm
from mg_basicsr.training.allocator import FreedMemory
from mg_basicsr.training.batch_norm.planned import PlannedNorm
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.precision.gradient_guard import GradientGuard
from mg_basicsr.training.precision.reduced import ReducedPrecision
from mg_basicsr.training.rates import PlannedRates


def extensions_of(run: Run) -> list[Extension]:
    """Return new extensions for a run: those of EXTENSIONS that its settings ask for."""
    return [extension for make in EXTENSIONS if (extension := make(run)) is not None]


def _micro_batches(run: Run) -> Extension | None:
    return MicroBatches() if any(batch.accumulate > 1 for batch in _batches(run)) else None


def _reduced_precision(run: Run) -> Extension | None:
    precision = run.settings.block.precision
    return ReducedPrecision(precision) if precision != 'float32' else None


def _gradient_guard(run: Run) -> Extension | None:
    def report(line: str) -> None:
        logger().warning(f'multigrid: iteration {run.iteration:,}: {line}')

    precision = run.settings.block.precision
    return GradientGuard(precision, report) if precision != 'float32' else None


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
    shapes = {(batch.clips_per_rank, batch.shape) for batch in _batches(run)}
    return CompiledParts(len(shapes)) if run.settings.block.compile else None


def _passes_at_start(run: Run) -> Extension | None:
    return PassesAtStart(run) if run.specification.in_loop and _micro_batches(run) else None


def _shapes_at_start(run: Run) -> Extension | None:
    return ShapesAtStart(run) if run.specification.in_loop and run.settings.block.check else None


def _batches(run: Run) -> set[RankBatch]:
    return {batch for stage in run.plan.stages for batch in stage.batches}


EXTENSIONS: list[Callable[[Run], Extension | None]] = [
    # first: optimisers get their initial rates before anything wraps their steps
    lambda run: PlannedRates(),
    # innermost around the step: what is around it sees one step, however many passes that takes
    _micro_batches,
    # networks run under autocast before anything replaces parts of them
    _reduced_precision,
    # around all passes: a step is skipped or taken as a whole
    _gradient_guard,
    _planned_norm,
    _kernels,
    _channels_last,
    # always: a state that a fused run has saved is adapted by others too
    lambda run: OptimizerForm(run.settings.block.fused_optimizer),
    # late: what is compiled is what the others have made of the networks
    _compiled_parts,
    # its trial steps go through all of the above, and through nothing below
    _shapes_at_start,
    # around it: what shapes are tried with is known to be exact
    _passes_at_start,
    # outside of it: memory is kept after the shapes have been tried
    lambda run: FreedMemory(),
    # no step at all on a mini-batch that is not the plan's, whatever the options say
    lambda run: DeliveredBatches(run) if run.specification.in_loop else None,
    # outermost: an error of any of the others ends the process as the user's errors do
    lambda run: CleanEnd() if run.specification.in_loop else None,
]
