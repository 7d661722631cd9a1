"""Options that were edited since a checkpoint: what they are, and an optimiser's own, which take effect.

A training state holds the optimisers' options as they were. BasicSR loads them with it, so that an edit of
`train.optim_g.weight_decay` or of `train.flow_lr_mul` would change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mg_basicsr.config.option_record import edited_options, option_changes, option_record
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run, Specification
from mg_basicsr.schedule.record import shown_change
from mg_basicsr.training.checkpoints.resume_point import ResumePoint

Groups = list[dict[str, Any]]  # options of the parameter groups of an optimiser

SHARED = ({'Adam', 'AdamW'},)  # optimisers that keep the same averages
TOLD = 3  # edits that an error lists


def changes_since(specification: Specification, point: ResumePoint) -> list[str]:
    """Return what to say of options that change training and not the plan; nothing for states without a record.

    Args:
        specification: Specification of the run.
        point: Checkpoint that it resumes from.
    """
    recorded = (point.record or {}).get('options')
    if not isinstance(recorded, dict):
        return []
    return option_changes(recorded, option_record(specification.file.options, specification.settings.block))


def as_a_reason(run: Run) -> str:
    """Return the edits, to follow the reason why a checkpoint does not fit; empty if there are none."""
    point = run.checkpoints.resume_point
    changes = changes_since(run.specification, point) if point else []
    return f'; changed since the checkpoint: {", ".join(changes[:TOLD])}' if changes else ''


def edited_numbers(run: Run) -> list[str]:
    """Return the edits of `train` between integers, or of one that is gone or new: they may end a phase of a model."""
    point = run.checkpoints.resume_point
    recorded = (point.record or {}).get('options') if point else None
    if not isinstance(recorded, dict):
        return []
    current = option_record(run.file.options, run.settings.block)
    values = {name: (recorded.get(name), current.get(name)) for name in edited_options(recorded, current)}
    return [
        f'{name} {shown_change(*pair)}'
        for name, pair in values.items()
        if name.startswith('train.') and all(value is None or type(value) is int for value in pair)
    ]


def options_of(model: Any) -> list[Groups]:
    """Return the options of every parameter group of the model's optimisers, as they were built."""
    return [
        [{key: value for key, value in group.items() if key != 'params'} for group in optimizer.param_groups]
        for optimizer in model.optimizers
    ]


def follow_edits(run: Run, model: Any, built: Sequence[Groups]) -> None:
    """Let edited options of the optimisers take effect, after the host has loaded those of the checkpoint.

    Args:
        run: The run, resumed.
        model: The host's model.
        built: What `options_of` returned before.
    """
    point = run.checkpoints.resume_point
    recorded = (point.record or {}).get('options') if point else None
    for optimizer, groups in zip(model.optimizers, built, strict=False):
        for group, values in zip(optimizer.param_groups, groups, strict=True):
            if 'initial_lr' in values:  # of the file's rate, which the plan's record has, and its multipliers
                group['initial_lr'] = values['initial_lr']
    if not isinstance(recorded, dict):
        return
    current = option_record(run.file.options, run.settings.block)
    edited = [name.split('.') for name in edited_options(recorded, current)]
    for section, key in ((parts[1], parts[2]) for parts in edited if len(parts) == 3 and parts[0] == 'train'):
        edited_one = getattr(model, section.replace('optim_', 'optimizer_', 1), None)
        position = next((n for n, one in enumerate(model.optimizers) if one is edited_one), None)
        if not section.startswith('optim_') or position is None:
            continue
        if key == 'type':
            _become(edited_one, built[position], f'train.{section}.type', recorded, current)
        else:
            for group, values in zip(model.optimizers[position].param_groups, built[position], strict=True):
                if key in values and key != 'lr':  # which is the plan's
                    group[key] = values[key]


def _become(
    optimizer: Any, built: Groups, option: str, recorded: Mapping[str, Any], current: Mapping[str, Any]
) -> None:
    """Give an optimiser of another type its own options back, and begin its averages anew."""
    for group, values in zip(optimizer.param_groups, built, strict=True):
        group.update(values)
    before, now = recorded.get(option), current.get(option)
    if not any({before, now} <= names for names in SHARED):
        optimizer.state.clear()
        logger().warning(f'multigrid: {option}: averages begin anew, those of {before} do not fit {now}')
