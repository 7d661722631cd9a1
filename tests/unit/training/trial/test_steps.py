"""Steps that fail are described in one line; steps that do not are timed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from mg_basicsr.errors import DataError, Problem
from mg_basicsr.training.trial.steps import LEAST_STEPS, MOST_STEPS, attempt, compare_steps, describe, time_steps

CPU = torch.device('cpu')


@pytest.mark.parametrize(
    ('error', 'out_of_memory', 'final'),
    [
        (torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 1 GiB.'), True, False),
        (MemoryError(), True, False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 7 bytes"), True, False),
        (RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate'), True, False),
        (RuntimeError('could not create a primitive'), True, False),
        (RuntimeError('CUDA error: an illegal memory access was encountered'), False, True),
        (RuntimeError('The size of tensor a (3) must match'), False, False),
        (AssertionError('needs\n   64'), False, False),
    ],
)
def test_kinds(error: Exception, out_of_memory: bool, final: bool) -> None:
    failure = describe(error)
    assert (failure.out_of_memory, failure.final) == (out_of_memory, final)
    assert len(failure.message.splitlines()) == 1
    assert failure.message.startswith(type(error).__name__)


def test_the_place_is_the_network_s_not_torch_s() -> None:
    def step() -> None:
        torch.nn.Conv2d(3, 3, 3)(torch.zeros(1, 4, 8, 8))

    failure = attempt(step, CPU)
    assert failure is not None
    assert failure.message.startswith('RuntimeError: Given groups=1') and '(test_steps.py, line' in failure.message


def test_a_message_that_tells_what_to_do_stays() -> None:
    def step() -> None:
        raise DataError(Problem('', 'a frame is missing'))

    with pytest.raises(DataError, match='a frame is missing'):
        attempt(step, CPU)


def test_a_step_that_works() -> None:
    assert attempt(lambda: None, CPU) is None


def test_the_median_of_what_comes_after_the_first() -> None:
    naps = iter([0.2, 0.02, 0.1, 0.02])
    timing = time_steps(lambda: time.sleep(next(naps)), CPU, seconds=0)
    assert timing.peak_mib is None
    assert 0.02 <= timing.seconds < 0.1
    assert next(naps, None) is None


@pytest.mark.parametrize(('seconds', 'steps'), [(0, LEAST_STEPS), (100, MOST_STEPS)])
def test_bounds(seconds: float, steps: int) -> None:
    made: list[int] = []
    time_steps(lambda: made.append(1), CPU, seconds)
    assert len(made) == steps + 1


def test_two_steps_in_turns() -> None:
    made: list[str] = []

    def step(name: str, seconds: float) -> Callable[[], None]:
        return lambda: made.append(name) or time.sleep(seconds)  # type: ignore[func-returns-value]

    ratio = compare_steps(step('a', 0.01), step('b', 0.05), CPU, seconds=0)
    assert made == ['a', 'b'] * (1 + LEAST_STEPS)
    assert 2 < ratio < 10
