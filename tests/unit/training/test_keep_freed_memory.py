"""Memory that a step has freed serves the next one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

STEPS = """
import contextlib, ctypes, resource, torch
from mg_basicsr.training.allocator import keep_freed_memory, memory_as_usual
# glibc raises this limit by itself as memory is freed, and then the layout of the heap decides
ctypes.CDLL(None).mallopt(-3, 2**20)
if {keep}:
    assert keep_freed_memory()
def step():
    tensors = [torch.ones(2**22) for _ in range(8)]  # 16 MiB each
def faults():
    for _ in range(3):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults())
with memory_as_usual():
    print(faults())
print(faults())
"""


def page_faults(keep: bool, **environment: str) -> list[int]:
    """Of five steps of 128 MiB, after three others: before, in and after a context of usual memory."""
    command = [sys.executable, '-c', STEPS.format(keep=keep)]
    kept = {name: os.environ[name] for name in ('OMP_NUM_THREADS', 'PYTHONPATH')}
    done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_steps_after_the_first_ask_the_system_for_no_memory() -> None:
    kept, _, again = page_faults(keep=True)  # in the context it depends on the layout of the heap
    assert kept < 100 and again < 100
    assert page_faults(keep=False)[0] > 1000


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_settings_of_the_environment_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    from mg_basicsr.training.allocator import keep_freed_memory

    monkeypatch.setenv('GLIBC_TUNABLES', 'glibc.malloc.trim_threshold=0')
    assert not keep_freed_memory()
