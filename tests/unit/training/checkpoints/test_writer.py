"""Saving: pairs, failures at any file, and what is kept."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mg_basicsr import atomic_files
from mg_basicsr.training.checkpoints import writer as checkpoint_writer
from mg_basicsr.training.checkpoints.files import hash_of, network_iteration, state_iteration, write_hashed
from mg_basicsr.training.checkpoints.writer import CheckpointWriter, UnpairedError, remove_older

VALUE = {'params': {'weight': torch.arange(5000.0)}}


def save(file: Any) -> None:
    torch.save(VALUE, file)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob('*') if path.is_file())


def paths(root: Path, iteration: int) -> tuple[Path, Path, Path]:
    networks = [root / f'models/{name}_{iteration}.pth' for name in ('net_g', 'net_d')]
    return *networks, root / f'training_states/{iteration}.state'


def write_pair(writer: CheckpointWriter, root: Path, iteration: int) -> list[str]:
    """As the host does; returns what failed."""
    net_g, net_d, state = paths(root, iteration)
    failed = []
    for path in (net_g, net_d):
        try:
            writer.write_network(path, save)
        except OSError:
            failed.append(path.name)
    try:
        writer.hashes(state, iteration)
        writer.write_state(state, iteration, save)
    except (OSError, UnpairedError):
        failed.append(state.name)
    return failed


@pytest.mark.parametrize(
    ('name', 'iteration'),
    [('net_g_5.pth', 5), ('net_g_latest.pth', None), ('net_g_5.pth.12.part', None), ('net_g_ema_500000.pth', 500000)],
)
def test_iteration_of_a_network(name: str, iteration: int | None) -> None:
    assert network_iteration(Path('models', name)) == iteration


def test_iteration_of_a_state() -> None:
    assert [state_iteration(Path(name)) for name in ('5.state', 'x.state', '5.pth')] == [5, None, None]


def test_what_torch_writes_is_what_is_hashed(tmp_path: Path) -> None:
    path = tmp_path / 'models/net_g_5.pth'
    digest = write_hashed(path, save)
    assert digest == hash_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(torch.load(path, weights_only=True)['params']['weight'], VALUE['params']['weight'])
    assert files(tmp_path) == ['models/net_g_5.pth']


def test_hashes_are_those_of_one_iteration(tmp_path: Path) -> None:
    writer = CheckpointWriter()
    for iteration in (5, 10):
        assert write_pair(writer, tmp_path, iteration) == []
    state = tmp_path / 'training_states/10.state'
    assert writer.hashes(state, 10) == {path.name: hash_of(path) for path in paths(tmp_path, 10)[:2]}
    assert writer.hashes(state, 15) == {} and writer.newest == 10


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """`full_disk(part of a name, bytes)`: files of such a name get no further."""
    monkeypatch.setattr(atomic_files.os, 'getpid', lambda: 31015)  # it is in the names of partial files

    def limit(name: str, size: int) -> None:
        pwrite = os.pwrite

        def write(descriptor: int, data: Any, offset: int) -> int:
            partial = os.path.basename(os.readlink(f'/proc/self/fd/{descriptor}'))
            target = partial.removesuffix(atomic_files.PARTIAL).rpartition('.')[0]
            if name in target and offset + len(data) > size:
                if offset >= size:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                data = data[: size - offset]
            return pwrite(descriptor, data, offset)

        monkeypatch.setattr(atomic_files.os, 'pwrite', write)

    return limit


@pytest.mark.parametrize('size', [0, 1, 1000, 20000])
@pytest.mark.parametrize(
    ('member', 'failed'),
    [
        ('net_g_10', ['net_g_10.pth', '10.state']),
        ('net_d_10', ['net_d_10.pth', '10.state']),
        ('10.state', ['10.state']),
        ('10', ['net_g_10.pth', 'net_d_10.pth', '10.state']),
    ],
)
def test_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, full_disk: Callable[[str, int], None], member: str, failed: list[str], size: int
) -> None:
    writer = CheckpointWriter()
    write_pair(writer, tmp_path, 5)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    full_disk(member, size)
    assert write_pair(writer, tmp_path, 10) == failed
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    assert writer.newest == 5
    full_disk('nothing', 0)
    assert write_pair(writer, tmp_path, 15) == [] and writer.newest == 15


def test_the_reason_is_the_systems_own(tmp_path: Path, full_disk: Callable[[str, int], None]) -> None:
    full_disk('net_g', 100)
    with pytest.raises(OSError, match='No space left on device'):
        write_hashed(tmp_path / 'net_g_5.pth', save)


def test_a_pair_that_is_written_again_is_not_given_up(tmp_path: Path, full_disk: Callable[[str, int], None]) -> None:
    """A run that was resumed before it writes the same bytes, so the older state still fits."""
    write_pair(CheckpointWriter(), tmp_path, 5)
    before = files(tmp_path)
    full_disk('5.state', 100)
    assert write_pair(CheckpointWriter(), tmp_path, 5) == ['5.state']
    full_disk('net_d_5', 100)
    assert write_pair(CheckpointWriter(), tmp_path, 5) == ['net_d_5.pth', '5.state']
    assert files(tmp_path) == before


def test_an_error_while_pickling_leaves_nothing(tmp_path: Path) -> None:
    def fails(file: Any) -> None:
        file.write(b'half')
        raise RuntimeError('no memory')

    with pytest.raises(RuntimeError, match='no memory'):
        CheckpointWriter().write_network(tmp_path / 'models/net_g_5.pth', fails)
    assert files(tmp_path) == []


def test_latest_belongs_to_no_pair(tmp_path: Path, full_disk: Callable[[str, int], None]) -> None:
    writer = CheckpointWriter()
    write_pair(writer, tmp_path, 5)
    writer.write_network(tmp_path / 'models/net_g_latest.pth', save)
    full_disk('latest', 10)
    with pytest.raises(OSError, match='No space'):
        writer.write_network(tmp_path / 'models/net_g_latest.pth', save)
    assert len(writer.hashes(tmp_path / 'training_states/5.state', 5)) == 2
    assert torch.load(tmp_path / 'models/net_g_latest.pth', weights_only=True)  # the older one


@pytest.mark.parametrize(
    ('keep', 'left'), [(1, [15, 20]), (2, [10, 15, 20]), (3, [5, 10, 15, 20]), (9, [5, 10, 15, 20])]
)
def test_keep_last(tmp_path: Path, keep: int, left: list[int]) -> None:
    """20 is of a future that was left: a later pair is never removed."""
    for iteration in (5, 10, 15, 20):
        write_pair(CheckpointWriter(), tmp_path, iteration)
    for name in ('models/net_g_latest.pth', 'models/net_g_150.pth', 'models/mine_5.pth', 'training_states/x.state'):
        (tmp_path / name).write_bytes(b'')
    others = set(files(tmp_path)) - {
        str(path.relative_to(tmp_path)) for n in (5, 10, 15, 20) for path in paths(tmp_path, n)
    }
    removed = remove_older(tmp_path / 'training_states', tmp_path / 'models', 15, keep)
    assert sorted(removed) == sorted({5, 10, 15, 20} - set(left))
    kept = {str(path.relative_to(tmp_path)) for iteration in left for path in paths(tmp_path, iteration)}
    assert set(files(tmp_path)) == kept | others


def test_keep_last_interrupted_leaves_no_state_without_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for iteration in (5, 10):
        write_pair(CheckpointWriter(), tmp_path, iteration)
    monkeypatch.setattr(checkpoint_writer, 'networks_in', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        remove_older(tmp_path / 'training_states', tmp_path / 'models', 10, 1)
    assert not (tmp_path / 'training_states/5.state').exists()
    assert all(path.exists() for path in paths(tmp_path, 10))
