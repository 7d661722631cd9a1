"""Files of strangers: nothing in them is executed, and what they wanted is told."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from mg_basicsr.errors import TrainingError
from mg_basicsr.training.checkpoints.safe_loading import DamagedError, load_safely


class Calls:
    """A pickle that calls a function when it is read."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


class Unknown:
    """A class that only this file knows."""


def load(path: Path) -> Any:
    return load_safely(path, lambda: torch.load(path, weights_only=True))


@pytest.mark.parametrize('form', ['archive', 'legacy', 'pickle'])
def test_nothing_is_executed(tmp_path: Path, form: str) -> None:
    path, marker = tmp_path / 'net_g.pth', tmp_path / 'executed'
    value = {'params': Calls(os.mkdir, str(marker))}
    if form == 'pickle':
        path.write_bytes(pickle.dumps(value, protocol=2))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=form == 'archive')
    with pytest.raises((TrainingError, DamagedError)) as caught:
        load(path)
    assert not marker.exists()
    if form != 'pickle':
        assert isinstance(caught.value, TrainingError)
        assert str(path) in str(caught.value) and 'mkdir' in str(caught.value)
        assert len(str(caught.value).splitlines()) == 3
    torch.load(path, weights_only=False) if form == 'archive' else pickle.loads(pickle.dumps(value))
    assert marker.exists()  # it would have been


@pytest.mark.parametrize(
    ('value', 'wanted'),
    [
        (Unknown(), 'Unknown'),
        (Calls(eval, '1'), 'eval'),
        (Calls(print, 'x'), 'print'),
        (collections.deque([1]), 'deque'),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else type(value).__name__
    ),  # no addresses: the same in each process
)
def test_what_it_wanted_is_told(tmp_path: Path, value: Any, wanted: str) -> None:
    path = tmp_path / 'x.pth'
    torch.save({'params': value}, path)
    with pytest.raises(TrainingError, match=wanted):
        load(path)


def test_what_checkpoints_are_made_of_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / 'x.pth'
    value = {
        'params': collections.OrderedDict(weight=torch.nn.Parameter(torch.ones(2))),
        'numbers': [1, 2.5, True, None, 'text', (1, 2)],
        'milestones': collections.Counter([3, 3]),
        'dtype': torch.bfloat16,
    }
    torch.save(value, path)
    assert str(load(path)) == str(value)


@pytest.mark.parametrize('content', [b'', b'text', b'\x80\x02', b'PK\x03\x04', bytes(1000)], ids=str)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'x.pth'
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        load(path)


def test_a_missing_file_stays_the_hosts_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / 'none.pth')
