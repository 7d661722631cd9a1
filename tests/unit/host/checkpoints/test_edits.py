"""Options edited since a checkpoint: what the log says of them is what the optimisers do."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mg_basicsr.config.option_record import option_record
from mg_basicsr.config.read_block import read_block
from mg_basicsr.host.checkpoints.edits import as_a_reason, changes_since, edited_numbers, follow_edits, options_of
from mg_basicsr.parsing.problems import Problems

OPTIONS: dict[str, Any] = {
    'scale': 4,
    'train': {'optim_g': {'type': 'Adam', 'lr': 1e-3, 'weight_decay': 0, 'betas': [0.9, 0.99]}, 'flow_lr_mul': 0.125},
}
BLOCK = read_block({'preset': 'lin2022'}, Problems())


def model_of(options: dict[str, Any]) -> Any:
    """Two groups as those of VideoRecurrentModel, with the `initial_lr` that a scheduler notes."""
    torch.manual_seed(0)
    train = options['train']
    own = dict(train['optim_g'])
    optimizer_type, rate = getattr(torch.optim, own.pop('type')), own.pop('lr')
    weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    groups = [{'params': [weights[0]], 'lr': rate}, {'params': [weights[1]], 'lr': rate * train['flow_lr_mul']}]
    optimizer = optimizer_type(groups, **own)
    for group in optimizer.param_groups:
        group['initial_lr'] = group['lr']
    return SimpleNamespace(optimizer_g=optimizer, optimizers=[optimizer], weights=weights)


def step(model: Any) -> list[torch.Tensor]:
    for number, weight in enumerate(model.weights, start=1):
        weight.grad = torch.full((3,), 0.1 * number)
    model.optimizer_g.step()
    return [weight.detach().clone() for weight in model.weights]


def edited(changes: dict[str, Any]) -> dict[str, Any]:
    options = copy.deepcopy(OPTIONS)
    for path, value in changes.items():
        *sections, key = path.split('.')
        section = options['train']
        for name in sections:
            section = section[name]
        if value is None:
            del section[key]
        else:
            section[key] = value
    return options


def resumed(changes: dict[str, Any]) -> tuple[Any, Any, Any]:
    """A run that is resumed with edited options after three steps; its model, and the one that it continues."""
    before = model_of(OPTIONS)
    for _ in range(3):
        step(before)
    options = edited(changes)
    record = {'options': option_record(OPTIONS, BLOCK)}
    point = SimpleNamespace(record=record)
    run: Any = SimpleNamespace(
        file=SimpleNamespace(options=options), settings=SimpleNamespace(block=BLOCK),
        checkpoints=SimpleNamespace(resume_point=point),
    )  # fmt: skip
    run.specification = run
    model = model_of(options)
    built = options_of(model)
    model.optimizer_g.load_state_dict(copy.deepcopy(before.optimizer_g.state_dict()))  # as BasicSR does
    follow_edits(run, model, built)
    return run, model, before


@pytest.mark.parametrize(
    'changes',
    [
        {'optim_g.weight_decay': 0.1},
        {'optim_g.betas': [0.5, 0.9]},
        {'optim_g.betas': None},
        {'optim_g.eps': 1e-3},
        {'optim_g.amsgrad': False},
        {'flow_lr_mul': 0.5},
        {'optim_g.type': 'AdamW', 'optim_g.weight_decay': 0.1},
        {'flow_lr_mul': 0.5, 'optim_g.eps': 1e-3, 'optim_g.weight_decay': 0.01},
    ],
    ids=str,
)
def test_what_the_log_says_of_an_optimiser_is_so(changes: dict[str, Any]) -> None:
    run, model, before = resumed(changes)
    told = changes_since(run, run.checkpoints.resume_point)
    assert sorted(line.split(' ')[0] for line in told) == sorted(f'train.{name}' for name in changes)
    fresh = model_of(edited(changes))
    for group, wanted, old in zip(
        model.optimizer_g.param_groups, fresh.optimizer_g.param_groups, before.optimizer_g.param_groups, strict=True
    ):
        assert all(
            group[key] == value for key, value in wanted.items() if key not in ('params', 'lr')
        )  # lr: the plan's
        assert group['initial_lr'] == old['initial_lr'] or 'flow_lr_mul' in changes
    averages = model.optimizer_g.state_dict()['state']
    assert averages.keys() == before.optimizer_g.state_dict()['state'].keys()  # they go on
    step(model)


@pytest.mark.parametrize('kind', ['SGD', 'RMSprop', 'Adagrad'])
def test_averages_of_another_optimiser_begin_anew(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    changes = {'optim_g.type': kind, 'optim_g.betas': None}
    _, model, _ = resumed(changes)
    assert f'train.optim_g.type: averages begin anew, those of Adam do not fit {kind}' in caplog.text
    fresh = model_of(edited(changes))
    for got, wanted in zip(step(model), step(fresh), strict=True):
        assert torch.equal(got, wanted)


def test_without_an_edit_nothing_changes() -> None:
    run, model, before = resumed({})
    assert changes_since(run, run.checkpoints.resume_point) == [] and as_a_reason(run) == ''
    model.weights[0].data.copy_(before.weights[0].data)
    model.weights[1].data.copy_(before.weights[1].data)
    for got, wanted in zip(step(model), step(before), strict=True):
        assert torch.equal(got, wanted)


def test_values_that_an_optimiser_keeps_itself_stay() -> None:
    """Some keep an estimate of the rate in their groups (Prodigy): only what was edited is replaced."""
    run, model, before = resumed({'optim_g.eps': 1e-3})
    for one in (model, before):
        one.optimizer_g.param_groups[0]['d'] = 3e-4
    built = [[{**group, 'd': 1e-6} for group in groups] for groups in options_of(model)]
    follow_edits(run, model, built)
    assert model.optimizer_g.param_groups[0]['d'] == 3e-4


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'my_phase': 3}, ['train.my_phase none -> 3']),
        ({'my_phase': True}, []),
        ({'my_phase': 0.5}, []),
        ({'optim_g.betas': None}, []),
        ({}, []),
    ],
    ids=str,
)
def test_edits_that_may_end_a_phase_of_a_model(changes: dict[str, Any], told: list[str]) -> None:
    run, _, _ = resumed(changes)
    assert edited_numbers(run) == told


def test_a_checkpoint_that_does_not_fit_names_the_edits() -> None:
    run, _, _ = resumed({'optim_g.eps': 1e-3})
    assert as_a_reason(run) == '; changed since the checkpoint: train.optim_g.eps none -> 0.001'
    run.checkpoints.resume_point = None
    assert as_a_reason(run) == ''
