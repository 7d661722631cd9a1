"""Effects of the plan on a BasicSR model at each point of the train loop. Hooks on BaseModel call these functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mg_basicsr.host.announcing import announce_plan
from mg_basicsr.host.extensions import extensions_of
from mg_basicsr.host.log import logger
from mg_basicsr.host.pair_pool import refuse_pool
from mg_basicsr.host.progress.monitor import Monitor
from mg_basicsr.host.run import Run
from mg_basicsr.host.schedulers import check_schedulers
from mg_basicsr.host.stopping import note_saves
from mg_basicsr.training.extension import extend
from mg_basicsr.training.host_model import HostModel


def adopt(run: Run, model: HostModel) -> None:
    """Attach a run's extensions to a model that has its networks and optimisers. Called by setup_schedulers.

    Args:
        run: The run.
        model: BasicSR's model.

    Raises:
        TrainingError: the schedulers are not those that the plan was made from, or an extension cannot be attached to
            this model, or not on this machine.
    """
    check_schedulers(run, model)
    refuse_pool(model)
    extensions = extensions_of(run)
    extend(model, extensions, lambda line: logger().info(f'multigrid: {line}'))
    run.adopt(model, extensions)
    if run.specification.in_loop:
        note_saves(run, model)


def watch(run: Run, model: HostModel) -> None:
    """Begin to observe a run, on the rank that logs. Called when its model is adopted.

    Args:
        run: The run; one that is only on trial is not observed.
        model: BasicSR's model.
    """
    if run.rank == 0 and run.specification.in_loop:
        run.watch = Monitor(run, model.opt)


def arrange(run: Run, network: nn.Module) -> None:
    """Prepare a network on its way to the device, before it is wrapped for several ranks.

    Args:
        run: The run.
        network: The network.
    """
    for extension in extensions_of(run):
        extension.arrange(network)


def settle(run: Run) -> None:
    """Do what extensions have put off. Called before a line of the log is written, and after the last step.

    Args:
        run: The run.
    """
    for extension in run.extensions:
        extension.settle()


def resume(run: Run, model: HostModel, state: Mapping[str, Any]) -> None:
    """Set the clock of a resumed run, and adapt its extensions to the loaded states.

    Args:
        run: The run.
        model: BasicSR's model, its states loaded.
        state: The training state, with `iter` and perhaps `epoch`.
    """
    for extension in run.extensions:
        extension.resumed(model)
    run.clock.iteration = run.clock.trained = int(state['iter'])
    run.clock.epoch = int(state.get('epoch', 0))
    if run.iteration < run.plan.total_iter:
        announce_plan(run, run.iteration + 1)
    else:
        logger().info(f'multigrid: all {run.plan.total_iter:,} iterations were trained already: nothing is left to do')


def place_schedulers(model: HostModel, current_iter: int) -> None:
    """Set the host's schedulers, which are not stepped, to where BasicSR expects them in a state of this iteration.

    So the state can also be resumed without this package.

    Args:
        model: BasicSR's model.
        current_iter: Iterations trained.
    """
    for scheduler in model.schedulers:
        scheduler.last_epoch = max(current_iter - 1, 0)
