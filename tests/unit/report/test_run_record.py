"""The record of a run: whole lines, whatever ends the process; resumed runs in one file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.report.run_record import (
    RecordWriter,
    history_of,
    kept_events,
    read_events,
    trained_seconds,
)


def step(iteration: int, trained: float) -> dict[str, Any]:
    return {'event': 'step', 'iter': iteration, 'trained': trained}


RESUMED = [
    {'event': 'start', 'iter': 0, 'trained': 0.0},
    *(step(i, float(i)) for i in (10, 20, 30)),
    {'event': 'saving', 'iter': 25, 'trained': 25.5},
    step(40, 40.0),
    {'event': 'start', 'iter': 25, 'trained': 25.5},
    step(30, 31.0),
]


def test_lines_come_back(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / 'a.jsonl')
    writer.write('start', iter=0, name='a\nb "c" é')
    writer.write('step', iter=1, losses={'l_pix': float('nan')}, lr=[1e-4, float('inf')])
    writer.close()
    first, second = read_events(tmp_path / 'a.jsonl')
    assert first['name'] == 'a\nb "c" é' and first['time'] > 1e9
    assert second['losses'] == {'l_pix': None} and second['lr'] == [1e-4, None]
    assert 'NaN' not in (tmp_path / 'a.jsonl').read_text()


@pytest.mark.parametrize('length', [3, 5000, 20_000])
def test_an_unfinished_line_is_ignored_and_cut_off(tmp_path: Path, length: int) -> None:
    path = tmp_path / 'a.jsonl'
    writer = RecordWriter(path)
    writer.write('start', iter=0)
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "step", "iter": 1, "x": "' + b'y' * length)
    assert len(read_events(path)) == 1
    writer = RecordWriter(path)
    assert path.read_bytes() == whole
    writer.write('step', iter=2)
    writer.close()
    assert [event['iter'] for event in read_events(path)] == [0, 2]


def test_a_file_without_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / 'a.jsonl'
    path.write_bytes(b'{"eve')
    RecordWriter(path).write('start', iter=0)
    assert len(read_events(path)) == 1


def test_lines_of_others_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / 'a.jsonl'
    path.write_bytes(
        b'\xff\xfe\n[1]\n{}\n{"event": 1, "iter": 2}\n{"event": "x"}\n' + json.dumps(step(1, 1.0)).encode() + b'\n'
    )
    assert read_events(path) == [step(1, 1.0)]


def test_a_line_that_is_not_written_whole_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RecordWriter(tmp_path / 'a.jsonl')
    writer.write('start', iter=0)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, 'write', lambda file, data: write(file, data[:5]))
        with pytest.raises(OSError):
            writer.write('step', iter=1)
    writer.write('step', iter=2)
    assert [event['iter'] for event in read_events(tmp_path / 'a.jsonl')] == [0, 2]


def test_iterations_that_were_lost_do_not_count() -> None:
    kept = kept_events(RESUMED)
    assert [(event['event'], event['iter']) for event in kept if event['event'] == 'step'] == [
        ('step', 10),
        ('step', 20),
        ('step', 30),
    ]
    assert [point.seconds for point in history_of(RESUMED).points] == [10.0, 20.0, 31.0]


def test_seconds_at_a_checkpoint() -> None:
    assert trained_seconds(RESUMED[:6], 25) == 25.5
    assert trained_seconds(RESUMED[:6], 20) == 20.0
    assert trained_seconds([], 20) == 0.0
