"""One training of training.py, in a process of its own: BasicSR's train loop with a clock around its parts.

    python benchmarks/training_process.py RECORD.json -opt X.yml [flags of BasicSR's train.py]

The clock starts when the train loop makes its prefetcher, so that loading, the start of workers, the check of shapes
and checkpoints count; while BasicSR validates it stands still. Writes what it saw as JSON. On a GPU the
parts are the times that it takes to hand the work over; the whole is exact.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from mg_basicsr.host.entry.basicsr_train import train
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.start import start_run

PARTS = ('loading', 'copying', 'forward', 'backward', 'optimiser')
FIRST = 'first iteration'  # with the start of workers and the check of every shape


class Record:
    """What is seen of a run.

    Attributes:
        curve: (iteration, seconds of training so far, PSNR in dB), one per validation.
        shapes: Per mini-batch shape `clips x frames x GT size`: iterations, seconds in all, and seconds by part.
    """

    def __init__(self) -> None:
        self.curve: list[tuple[int, float, float]] = []
        self.shapes: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._parts: dict[str, float] = defaultdict(float)
        self._started: float | None = None
        self._stood = self._since = 0.0
        self._shape, self._stands = '', False
        self._rehearsing = False

    def start(self) -> None:
        """Starts the clock, once."""
        if self._started is None:
            self._started = time.perf_counter()

    def now(self) -> float:
        """Seconds of training so far."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return 0.0 if self._started is None else time.perf_counter() - self._started - self._stood

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of a step."""
        start = time.perf_counter()
        yield
        if not self._stands:
            self._parts[name] += time.perf_counter() - start

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The clock stands."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start, self._stands = time.perf_counter(), True
        yield
        self._stood, self._stands = self._stood + time.perf_counter() - start, False

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """The start-up check makes a run in small, on loaders of its own: its time counts, its steps do not."""
        self.start()
        self._rehearsing = True
        yield
        self._rehearsing = False
        self._parts.clear()

    def next_iteration(self) -> None:
        """The iteration whose batch `batch` announced is over."""
        if self._rehearsing:
            return
        if self._shape and self._parts['optimiser']:  # BasicSR fetches batches past its last iteration
            now = time.perf_counter() - self._started - self._stood if self._started else 0.0
            row = self.shapes[self._shape if self.shapes else FIRST]
            row['iterations'] += 1
            row['seconds'] += now - self._since
            for name in PARTS:
                row[name] += self._parts[name]
            self._since = now
        self._parts.clear()
        self._shape = ''

    def batch(self, batch: Any) -> None:
        """The next iteration's mini-batch."""
        if batch and not self._rehearsing:
            clips, frames, *_ = batch['lq'].shape
            self._shape = f'{clips}x{frames}x{batch["gt"].shape[-1]}'

    def validated(self, iteration: int, value: float) -> None:
        """A validation has been made; the second one of the very end, which BasicSR numbers higher, is left out."""
        if not self._rehearsing and (not self.curve or iteration > self.curve[-1][0] + 2):
            self.curve.append((iteration, self.now(), value))

    def report(self) -> dict[str, Any]:
        """All of it, for JSON."""
        rows = self.shapes.values()
        whole = {name: sum(row[name] for row in rows) for name in ('iterations', 'seconds')}
        return {**whole, 'curve': self.curve, 'shapes': self.shapes, 'threads': torch.get_num_threads()}


def main() -> None:
    """Trains, then writes the record."""
    path = Path(sys.argv.pop(1))
    start_run(parse_command_line(sys.argv[1:]))
    record = Record()
    install(record)
    train()
    path.write_text(json.dumps(record.report()))


def around(owner: Any, name: str, context: Callable[..., Any], after: Callable[..., object] | None = None) -> None:
    """`owner.name` runs within `context()`; `after(result, *args)` follows."""
    original = getattr(owner, name)

    def method(*args: Any, **kwargs: Any) -> Any:
        with context():
            result = original(*args, **kwargs)
        if after:
            after(result, *args)
        return result

    setattr(owner, name, method)


def install(record: Record) -> None:
    """Puts the clock around the classes that every train loop uses."""
    from basicsr.data.prefetch_dataloader import CPUPrefetcher, CUDAPrefetcher
    from basicsr.models.base_model import BaseModel
    from basicsr.models.sr_model import SRModel

    from mg_basicsr.host.trial import rehearsal

    around(rehearsal, 'rehearse', record.rehearsal)

    def started() -> Any:
        record.start()
        return nullcontext()

    def fetching() -> Any:
        record.next_iteration()
        return record.part('loading')

    for prefetcher in (CPUPrefetcher, CUDAPrefetcher):
        around(prefetcher, '__init__', started)
        around(prefetcher, 'next', fetching, lambda batch, *_: record.batch(batch))
    around(SRModel, 'feed_data', lambda: record.part('copying'))
    around(torch.Tensor, 'backward', lambda: record.part('backward'))
    around(torch.optim.Adam, 'step', lambda: record.part('optimiser'))
    around(BaseModel, 'model_to_device', nullcontext, lambda network, *_: time_forward(record, network))
    around(
        BaseModel, 'validation', record.standing,
        lambda _, model, loader, iteration, *__: record.validated(int(iteration), psnr(model)),
    )  # fmt: skip


def time_forward(record: Record, network: torch.nn.Module) -> None:
    """Counts the network's passes in training."""
    running: list[Any] = []

    def before(*_: Any) -> None:
        if network.training:
            running.append(record.part('forward'))
            running[-1].__enter__()

    def after(*_: Any) -> None:
        if running:
            running.pop().__exit__(None, None, None)

    network.register_forward_pre_hook(before)
    network.register_forward_hook(after)


def psnr(model: Any) -> float:
    """Of the validation that has just been made: the mean over frames, then clips, as BasicSR logs it."""
    clips = [float(scores[:, 0].mean()) for scores in model.metric_results.values()]
    return sum(clips) / len(clips)


if __name__ == '__main__':
    main()
