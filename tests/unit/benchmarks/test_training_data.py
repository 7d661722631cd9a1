"""The clips of benchmarks/training.py, made in several processes that may be killed."""

from __future__ import annotations

import importlib.util
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / 'benchmarks/training_data.py'
spec = importlib.util.spec_from_file_location('training_data', FILE)
assert spec is not None and spec.loader is not None
data = importlib.util.module_from_spec(spec)
spec.loader.exec_module(data)


class Here:
    """A pool that works in this process, in the order of its processes."""

    def __init__(self, processes: int) -> None: ...

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: object) -> None: ...

    def submit(self, work: Any, *arguments: Any) -> Future[None]:
        future: Future[None] = Future()
        future.set_result(work(*arguments))
        return future


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('skimage')
    for name, value in (('FRAMES', 2), ('SIZE', (64, 96)), ('GENERATED', 4), ('VAL_FRAMES', 2)):
        monkeypatch.setattr(data, name, value)
    monkeypatch.setattr(data, 'degrade', lambda gt: gt[::4, ::4].copy())
    monkeypatch.setattr(data, 'ProcessPoolExecutor', Here)


def listed(root: Path) -> list[str]:
    return [line.split(' ')[0] for line in (root / 'train/meta_info.txt').read_text().splitlines()]


def test_the_list_has_all_clips_or_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after any clip, the run leaves no list of some of them; continued, it leaves that of all."""
    done: list[int] = []
    make = data.make_frames

    def killed(root: Path, indices: range, *arguments: Any) -> None:
        make(root, indices[:1], *arguments)
        done.append(indices[0])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(data, 'make_frames', killed)
        with pytest.raises(KeyboardInterrupt):
            data.make_data(tmp_path, None)
    assert done and not (tmp_path / 'train/meta_info.txt').exists()
    data.make_data(tmp_path, None)
    assert listed(tmp_path) == ['000', '001', '002', '003']
    # continued once more, the list of an earlier run stays whole while clips are made
    with monkeypatch.context() as patch:
        patch.setattr(data, 'make_frames', killed)
        with pytest.raises(KeyboardInterrupt):
            data.make_data(tmp_path, None)
    assert listed(tmp_path) == ['000', '001', '002', '003']
