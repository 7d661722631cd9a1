"""Which checkpoint a run is resumed from, over tables of damage."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mg_basicsr.errors import TrainingError
from mg_basicsr.training.checkpoints.files import write_sealed
from mg_basicsr.training.checkpoints.resume_point import FORMAT, KEY, ResumePoint, find_resume_point
from mg_basicsr.training.checkpoints.writer import CheckpointWriter

NETWORKS = ('net_g', 'net_d')


def write_pair(root: Path, iteration: int, **record: Any) -> None:
    """A checkpoint of ours: two networks and the state."""
    writer = CheckpointWriter()
    generator = torch.Generator().manual_seed(iteration)
    for name in NETWORKS:
        weights = {'params': {'weight': torch.rand(40, generator=generator)}}
        path = root / f'models/{name}_{iteration}.pth'
        writer.write_network(path, lambda file, weights=weights: torch.save(weights, file))
    path = root / f'training_states/{iteration}.state'
    momentum = {0: {'step': torch.tensor(float(iteration)), 'exp_avg': torch.rand(40, generator=generator)}}
    state = {
        'epoch': 0,
        'iter': iteration,
        'optimizers': [{'state': momentum, 'param_groups': [{'lr': 1e-3, 'params': [0]}]}],
        'schedulers': [],
        KEY: {'format': FORMAT, 'plan': {}, 'networks': writer.hashes(path, iteration), **record},
    }
    writer.write_state(path, iteration, lambda file: torch.save(state, file))


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    for iteration in (5, 10, 15):
        write_pair(tmp_path, iteration)
    return tmp_path


def read(path: Path) -> Any:
    return torch.load(path, map_location='cpu', weights_only=True)


def find(experiment: Path, fall_back: bool = True, iteration: int = 15) -> ResumePoint:
    return find_resume_point(experiment / f'training_states/{iteration}.state', read, fall_back)


def test_the_newest_whole_pair_is_taken(experiment: Path) -> None:
    for fall_back in (True, False):
        point = find(experiment, fall_back)
        assert point.iteration == 15 and point.skipped == ()
        assert point.networks == {f'{name}_15.pth': experiment / f'models/{name}_15.pth' for name in NETWORKS}


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    for iteration in (5, 10, 100):
        write_pair(tmp_path, iteration)
    (tmp_path / 'training_states/100.state').write_bytes(b'')
    (tmp_path / 'training_states/best.state').write_bytes(b'')
    assert find(tmp_path, iteration=100).iteration == 10


def truncate(path: Path, length: int) -> None:
    os.truncate(path, length)


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def offset_of(path: Path, what: bytes, last: bool = False) -> int:
    data = path.read_bytes()
    return data.rindex(what) if last else data.index(what)


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


DAMAGE: dict[str, Callable[[Path], Any]] = {
    'missing': Path.unlink,
    'empty': lambda path: truncate(path, 0),
    'one byte': lambda path: truncate(path, 1),
    'last byte gone': lambda path: truncate(path, path.stat().st_size - 1),
    'a block of zeros': zeros,
    'first byte': lambda path: flip(path, 0),
    'in the pickle': lambda path: flip(path, offset_of(path, b'data.pkl') + 80),
    'in the list of records': lambda path: flip(path, offset_of(path, b'PK\x01\x02') + 20),
    'in the last record': lambda path: flip(path, offset_of(path, b'PK\x05\x06') + 10),
    'text': lambda path: path.write_text('not a checkpoint'),
    'another pickle': lambda path: path.write_bytes(pickle.dumps([1, 2], protocol=2)),
    'a folder': lambda path: (path.unlink(), path.mkdir()),
    'another one': lambda path: shutil.copy(path.with_name(path.name.replace('15', '10')), path),
}


@pytest.mark.parametrize('member', ['models/net_g_15.pth', 'models/net_d_15.pth', 'training_states/15.state'])
@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_pair_is_named_and_the_one_before_is_taken(experiment: Path, member: str, damage: str) -> None:
    DAMAGE[damage](experiment / member)
    if member.endswith('.state') and damage == 'another one':
        assert find(experiment).iteration == 10  # which it is
        return
    point = find(experiment)
    assert point.iteration == 10
    assert len(point.skipped) == 1 and point.skipped[0].startswith(f'{experiment}/training_states/15.state: ')
    assert member in point.skipped[0]
    with pytest.raises(TrainingError) as caught:
        find(experiment, fall_back=False)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f'path.resume_state: {experiment}/training_states/15.state: ')
    assert problem.allowed and problem.remedy


@pytest.mark.parametrize('member', ['models/net_g_15.pth', 'training_states/15.state'])
def test_truncated_at_fifty_lengths(experiment: Path, member: str) -> None:
    data = (experiment / member).read_bytes()
    for length in range(0, len(data), -(-len(data) // 50)):
        (experiment / member).write_bytes(data[:length])
        assert find(experiment).iteration == 10, length
    (experiment / member).write_bytes(data)
    assert find(experiment).iteration == 15


def test_any_flipped_byte_of_a_network_is_seen(experiment: Path) -> None:
    path = experiment / 'models/net_g_15.pth'
    data = path.read_bytes()
    for offset in range(0, len(data), 7):
        flip(path, offset)
        assert find(experiment).iteration == 10, offset
        path.write_bytes(data)


def test_any_flipped_byte_of_a_state_is_seen(experiment: Path) -> None:
    path = experiment / 'training_states/15.state'
    data = path.read_bytes()
    for offset in [*range(0, len(data) - 100, 11), *range(len(data) - 100, len(data))]:
        flip(path, offset)
        assert find(experiment).iteration == 10, offset
        path.write_bytes(data)


def test_leftovers_of_a_kill_are_no_checkpoints(experiment: Path) -> None:
    (experiment / 'training_states/20.state.123.part').write_bytes(b'half')
    (experiment / 'models/net_g_20.pth.123.part').write_bytes(b'half')
    (experiment / 'models/net_g_20.pth').write_bytes(b'whole, but its state was never written')
    assert find(experiment).iteration == 15 and find(experiment).skipped == ()


def test_several_are_damaged(experiment: Path) -> None:
    (experiment / 'training_states/15.state').write_bytes(b'')
    (experiment / 'models/net_d_10.pth').unlink()
    point = find(experiment)
    assert point.iteration == 5 and [line.split(':')[0][-8:] for line in point.skipped] == ['15.state', '10.state']


def test_all_are_damaged(experiment: Path) -> None:
    for path in (experiment / 'training_states').iterdir():
        path.write_bytes(b'')
    with pytest.raises(TrainingError) as caught:
        find(experiment)
    assert re.search(r'no checkpoint is whole \(.*15.state.*10.state.*5.state', str(caught.value))
    assert len(str(caught.value).splitlines()) == 3


def stock_pair(root: Path, iteration: int, zip_format: bool = True) -> None:
    """As BasicSR writes it: no record."""
    for folder in ('models', 'training_states'):
        (root / folder).mkdir(exist_ok=True)
    state = {'epoch': 0, 'iter': iteration, 'optimizers': [], 'schedulers': []}
    for value, name in (
        ({'params': {}}, f'models/net_g_{iteration}.pth'),
        (state, f'training_states/{iteration}.state'),
    ):
        torch.save(value, root / name, _use_new_zipfile_serialization=zip_format)


@pytest.mark.parametrize('zip_format', [True, False])
def test_a_checkpoint_of_basicsr_itself(tmp_path: Path, zip_format: bool) -> None:
    stock_pair(tmp_path, 5, zip_format)
    stock_pair(tmp_path, 15, zip_format)
    point = find(tmp_path)
    assert point.iteration == 15 and point.record is None
    assert point.networks == {'net_g_15.pth': tmp_path / 'models/net_g_15.pth'}
    if zip_format:
        truncate(tmp_path / 'models/net_g_15.pth', 200)
        assert find(tmp_path).iteration == 5
    (tmp_path / 'models/net_g_15.pth').unlink()
    assert find(tmp_path).iteration == 5
    assert 'no network of iteration 15' in find(tmp_path).skipped[0]


def test_a_later_form_is_not_taken_for_damage(experiment: Path) -> None:
    write_pair(experiment, 15, format=FORMAT + 1, version='9.0')
    with pytest.raises(TrainingError, match=r'written by mg_basicsr 9\.0'):
        find(experiment)


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize('where', ['parts', 'optimizers'])
def test_a_state_that_runs_code_is_refused_and_not_passed_over(experiment: Path, where: str, tmp_path: Path) -> None:
    marker = tmp_path / 'executed'
    path = experiment / 'training_states/15.state'
    state = read(path)
    (state[KEY] if where == 'parts' else state)[where] = Malicious(marker)
    write_sealed(path, lambda file: torch.save(state, file))
    with pytest.raises(TrainingError) as caught:
        find(experiment)
    assert str(path) in str(caught.value) and 'mkdir' in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'iter': 'x'}, "its iter is 'x'"),
        ({'iter': None}, "its iter is 'None'"),
        ({'iter': -3}, "its iter is '-3'"),
        ({'iter': 15.0}, "its iter is '15.0'"),
        ({'iter': float('nan')}, "its iter is 'nan'"),
        ({'iter': torch.tensor(15)}, "its iter is 'tensor(15)'"),
        ({'epoch': 'x'}, "its epoch is 'x'"),
        ({'optimizers': None}, 'its optimizers are no list of states'),
        ({'optimizers': [3]}, 'its optimizers are no list of states'),
        ({'schedulers': 5}, 'its schedulers are no list of states'),
        ({'schedulers': [7]}, 'its schedulers are no list of states'),
    ],
    ids=str,
)
def test_states_of_others_whose_fields_are_wrong(experiment: Path, change: dict[str, Any], told: str) -> None:
    path = experiment / 'training_states/15.state'
    state = read(path)
    del state[KEY]
    torch.save({**state, **change}, path)
    with pytest.raises(TrainingError, match=re.escape(told)):
        find(experiment, fall_back=False)


def test_weights_in_place_of_a_state(experiment: Path) -> None:
    with pytest.raises(TrainingError, match='it is not a training state, but has the weights of a network'):
        find_resume_point(experiment / 'models/net_g_15.pth', read, fall_back=False)
