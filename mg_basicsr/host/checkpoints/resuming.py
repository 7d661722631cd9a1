"""Restoring of a model when it is resumed: the host's own resuming, and everything that it leaves out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mg_basicsr.atomic_files import remove_partials
from mg_basicsr.errors import MultigridError, Problem, TrainingError
from mg_basicsr.host.checkpoints.edits import as_a_reason, edited_numbers, follow_edits, options_of
from mg_basicsr.host.checkpoints.loading import option_of
from mg_basicsr.host.checkpoints.saving import FOLDERS, reason_of
from mg_basicsr.host.checkpoints.weights import (
    RAW,
    USUAL,
    contents_of,
    not_finite,
    nothing_loaded,
    params_of,
    wrong_averages,
)
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.training.checkpoints import networks
from mg_basicsr.training.checkpoints.resume_point import KEY, ResumePoint
from mg_basicsr.training.host_model import trained_networks


def load_network(
    run: Run, original: Callable[..., Any], model: Any, net: Any, path: Any, *args: Any, **kwargs: Any
) -> None:
    """Load a network by the host's own method, from the place of the file.

    Args:
        run: The run.
        original: The host's method.
        model: BasicSR's model.
        net: The network.
        path: Path that the host has chosen.
        args: Further arguments of the method.
        kwargs: Further arguments of the method.

    Raises:
        TrainingError: the file has no such weights, or they are those of another network.
        AttributeError: the method fails for another reason.
        LookupError: not raised; it becomes a TrainingError.
        RuntimeError: as AttributeError.
        TypeError: as AttributeError.
    """
    path = network_path(run, model, path)
    try:
        original(model, net, path, *args, **kwargs)
    except (AttributeError, LookupError, RuntimeError, TypeError) as error:
        contents, remedy = contents_of(path)
        if contents.startswith('no ') or (contents.startswith(RAW) and isinstance(error, AttributeError)):
            reason = contents
        elif isinstance(error, LookupError):
            reason = f'no {error} in it, which has {contents}'
        elif 'Error(s) in loading state_dict' in str(error):
            reason = ' '.join(str(error).split())[:300] + as_a_reason(run)
        else:
            raise
        key = option_of(run, path).replace('.pretrain_network_', '.param_key_')
        if contents.startswith(RAW):
            remedy = f'set {key if ".param_key_" in key else "path.param_key_g"}: ~, for weights without a key'
        raise TrainingError(_misfit(path, reason, remedy or USUAL)) from None
    _check_loaded(run, model, net, path, dict(zip(('strict', 'param_key'), args, strict=False)) | kwargs)


def _check_loaded(run: Run, model: Any, net: Any, path: Any, options: Mapping[str, Any]) -> None:
    """Check that weights were loaded, and that they are numbers to train from.

    Raises:
        TrainingError: Nothing was loaded, or something is not finite.
    """
    network = model.get_bare_model(net) if hasattr(model, 'get_bare_model') else net
    if options.get('strict', True) is False:
        reason = nothing_loaded(network, params_of(path, options.get('param_key', 'params')))
        if reason:
            raise TrainingError(_misfit(path, reason, 'rename them, or name another file: nothing was loaded'))
    name = '' if run.checkpoints.resume_point else not_finite(network)
    if name:
        reason = f'{name} has values that are not finite'
        remedy = 'name a checkpoint from before: nothing can be trained from this one'
        raise TrainingError(_misfit(path, reason, remedy))


def _misfit(path: Any, reason: str, remedy: str) -> Problem:
    needed = 'needed: weights of the network that the options describe, under the key that path.param_key_... names'
    return Problem(str(path), f'does not fit the network: {reason}', needed, remedy)


def network_path(run: Run, model: Any, path: Any) -> Any:
    """Return the path of a network: networks of the state being resumed are in the folder beside it.

    BasicSR looks in the folder of the experiment, which is another one if the experiment got a new name.

    Args:
        run: The run.
        model: BasicSR's model.
        path: Path that the host has chosen.
    """
    point, folders = run.checkpoints.resume_point, model.opt['path']
    if point is None or not isinstance(path, (str, os.PathLike)) or not folders.get('models'):
        return path
    file = Path(path)
    belongs = file.name in point.networks and file.absolute().parent == Path(folders['models']).absolute()
    return str(point.networks[file.name]) if belongs else path


def resume_training(run: Run, original: Callable[..., Any], model: Any, state: Mapping[str, Any]) -> None:
    """Resume by the host's own method, then restore everything that it leaves out.

    Args:
        run: The run.
        original: The host's method.
        model: BasicSR's model.
        state: The training state.

    Raises:
        TrainingError: the state does not fit the model, or a part of it cannot be restored.
        MultigridError: a hook within the host's method has raised it.
    """
    built = options_of(model)  # before the host's method: loading an optimiser overwrites them by the saved run's
    try:
        original(model, state)
    except MultigridError:
        raise
    except (AssertionError, LookupError, ValueError) as error:
        reason = reason_of(error)
    else:
        reason = wrong_averages(model)
    if reason:
        where = run.checkpoints.resume_point.path if run.checkpoints.resume_point else 'the training state'
        raise TrainingError(
            Problem(
                str(where),
                f'does not fit the model: {reason}{as_a_reason(run)}',
                'needed: the networks and optimisers that the run began with',
                'put the options file back, or begin a new run from the weights (path.pretrain_network_g)',
            )
        ) from None
    for note in run.checkpoints.notes:
        logger().info(f'multigrid: {note}')
    record = state.get(KEY)
    if record is None:
        _continue_stock(model, state)
    follow_edits(run, model, built)
    if run.checkpoints.resume_point is None:
        return
    _restore_networks(run.checkpoints.resume_point, model)
    if record is not None:
        _freeze(run, model, int(state['iter']), record['frozen'])
        _restore_best_metrics(model, record['best_metrics'])
        _restore_parts(run, record['parts'])
    run.checkpoints.writer.newest = run.checkpoints.resume_point.iteration
    for damaged in run.checkpoints.resume_point.skipped:
        logger().warning(f'multigrid: a newer checkpoint is damaged and was left out: {damaged}')
    logger().info(f'multigrid: resumed from {run.checkpoints.resume_point.path}')
    if run.rank == 0:
        for folder in FOLDERS:
            remove_partials(Path(model.opt['path'][folder]))


def _continue_stock(model: Any, state: Mapping[str, Any]) -> None:
    """Continue a checkpoint that BasicSR wrote without this package."""
    logger().warning(
        f"multigrid: a checkpoint of BasicSR's own (iteration {int(state['iter']):,}) is continued under the plan: "
        'not bit-exact, since its clips and random numbers were drawn in another way'
    )
    for group in (group for optimizer in model.optimizers for group in optimizer.param_groups):
        group.setdefault('initial_lr', group['lr'])
    nothing: dict[str, list[str]] = {label: [] for label in trained_networks(model)}
    for label, frozen in networks.frozen_when_resumed(model, int(state['iter']), nothing).items():
        if frozen:
            networks.freeze(trained_networks(model), {label: frozen})


def _freeze(run: Run, model: Any, iteration: int, recorded: Mapping[str, list[str]]) -> None:
    """Freeze what the options ask for at this iteration, and log where the checkpoint had it otherwise.

    Where a repository has its own phases, whose ends may have been edited, the log says what stays frozen.
    """
    own, edits = networks.frozen_by_own_rules(model, recorded), edited_numbers(run)
    for label, count in own.items() if edits else ():
        logger().warning(
            f'multigrid: {label}: {count} parameters stay frozen as in the checkpoint, by a rule of the model; if its '
            f'end was edited to an iteration before {iteration:,}, they are never freed: {", ".join(edits)}'
        )
    now = networks.frozen_when_resumed(model, iteration, recorded)
    networks.freeze(trained_networks(model), now)
    for label, frozen in now.items():
        if set(frozen) != set(recorded[label]):
            values = ', '.join(f'{option}: {model.opt["train"].get(option)}' for option, _, _ in networks.PHASES)
            logger().warning(
                f'multigrid: {label}: {len(recorded[label])} parameters were frozen when the checkpoint was saved, '
                f'{len(frozen)} are under the options of now ({values}) at iteration {iteration:,}'
            )


def _restore_networks(point: ResumePoint, model: Any) -> None:
    """Load weights and averages as saved, also if a repository loads them in another way or not at all."""
    import torch

    ignored = model.opt['path'].get('ignore_resume_networks') or ()
    for name, file in point.networks.items():
        label = name.removesuffix(f'_{point.iteration}.pth')
        if label.replace('net_', 'network_', 1) in ignored:
            continue
        saved = torch.load(file, map_location='cpu', weights_only=True)
        for key, (attribute, network) in networks.targets(model, label, saved).items():
            if not networks.load_weights(network, saved[key]):
                logger().warning(f'multigrid: {file}: {key} do not fit {attribute}, which stays as the host loaded it')


def _restore_best_metrics(model: Any, saved: Any) -> None:
    """Restore the best results of validation sets that have the same metrics in the options now."""
    metrics = (model.opt.get('val') or {}).get('metrics') or {}
    kept = {name: results for name, results in (saved or {}).items() if results.keys() == metrics.keys()}
    if kept:
        model.best_metric_results = kept


def _restore_parts(run: Run, saved: Mapping[str, Any]) -> None:
    parts = run.parts
    for name in sorted(parts.keys() | saved.keys()):
        if name in parts and name in saved:
            parts[name].load_state_dict(saved[name])
        elif name in saved or parts[name].state_dict():  # an empty state is not saved
            where = 'the checkpoint' if name in parts else 'this run'
            logger().warning(f'multigrid: {name}: {where} has none; nothing is restored')
