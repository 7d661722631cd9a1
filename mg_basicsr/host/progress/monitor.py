"""Monitor of a run: its times, the estimate of its end, its record, the progress bar, and values for TensorBoard.

It observes and changes nothing: neither weights nor samples nor random numbers depend on it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from mg_basicsr.host.announcing import LogValue
from mg_basicsr.host.log import logger
from mg_basicsr.host.progress.bar import Bar, progress_bar
from mg_basicsr.host.progress.header import header, header_lines
from mg_basicsr.host.progress.measures import (
    Measures,
    batch_hash,
    peak_memory,
    scalars,
    skipped_steps,
    validation_pixels,
)
from mg_basicsr.host.progress.timer import IterationTimer
from mg_basicsr.host.progress.watch import Watch
from mg_basicsr.host.run import Run
from mg_basicsr.patching import replaced
from mg_basicsr.report.run_record import FILE, FORMAT, Event, RecordWriter, read_events, trained_seconds
from mg_basicsr.report.training_log import parse_validation
from mg_basicsr.schedule.duration import duration_text
from mg_basicsr.schedule.estimate import Estimator
from mg_basicsr.schedule.plan import RankBatch, Step
from mg_basicsr.schedule.record import plan_record

FORWARD = 1 / 3  # share of a training step that a forward pass takes: the backward pass is twice as much
BAR_SECONDS = 0.5  # between two states of the bar


class Monitor(Watch):
    """Monitor of a run, on its first rank.

    Args:
        run: The run, its model built.
        options: The host's options.
    """

    def __init__(self, run: Run, options: Mapping[str, Any]) -> None:
        self._run = run
        self._plan = run.plan
        every = {
            'validation': (options.get('val') or {}).get('val_freq') or 0,
            'saving': (options.get('logger') or {}).get('save_checkpoint_freq') or 0,
        }
        self._estimator = Estimator(run.plan, {name: int(count) for name, count in every.items()})
        self._timer = IterationTimer()
        self._pauses = dict.fromkeys(every, 0.0)
        self._bar = Bar()
        self._shown = 0.0
        self._batch: RankBatch | None = None
        self._iteration = 0
        self._waiting = 0.0  # since the iteration under way began
        self._sums = self._at_line = self._at_bar = Measures()
        self._facts = header(plan_record(run.plan, run.settings.baseline, run.settings.seed, run.specification.grid))
        for line in header_lines(self._facts):
            logger().info(f'multigrid: {line}')
        folder = (options.get('path') or {}).get('experiments_root')
        self._path = Path(folder) / FILE if folder else None
        self._record: RecordWriter | None = None

    def begin(self, step: Step) -> None:
        """Measure the iteration before, and show the state of the run; see `Watch.begin`."""
        if self._batch is None:
            self._start(step.iteration)
        self._measure(self._timer.begin())
        now = time.monotonic()
        if now - self._shown >= BAR_SECONDS:
            self._shown = now
            self._show(step.iteration)
        self._batch, self._iteration = step.batch, step.iteration + 1
        self._sums = self._sums.with_clips(step.shape.clips, step.shape.pixels)

    def fetched(self, seconds: float) -> None:
        """Add to the time that the iteration waits for data; see `Watch.fetched`."""
        self._waiting += seconds

    def tried(self, seconds: Mapping[RankBatch, float]) -> None:
        """Take the seconds of trial steps for the estimate; see `Watch.tried`."""
        for batch, each in seconds.items():
            self._estimator.expect(batch, each)
        self._expect_validations(seconds)
        shapes = [
            [batch.shape.clips, batch.shape.frames, batch.shape.size, batch.accumulate, round(each, 5)]
            for batch, each in seconds.items()
        ]
        self._write('shapes', shapes=shapes)

    @contextmanager
    def pause(self, kind: str) -> Iterator[None]:
        """Stop the time of training, and record the pause; see `Watch.pause`."""
        with self._timer.pause() as lapse:
            yield
        self._paused(kind, lapse.seconds)

    @contextmanager
    def validation(self, tensorboard: Any) -> Iterator[None]:
        """Stop the time of training, and record the scores that the host logs; see `Watch.validation`."""
        messages: list[str] = []
        with self._timer.pause() as lapse, _logged_to(messages):
            yield
        found = next(filter(None, map(parse_validation, messages)), None)
        dataset, metrics = found or ('', {})
        self._paused('validation', lapse.seconds, dataset=dataset, metrics=metrics)
        if tensorboard:
            seconds = self._timer.elapsed
            for name, value in metrics.items():
                tag = f'multigrid/by_seconds_trained/{dataset}/{name}'
                # with this time, the axis "relative" of TensorBoard is that of hours trained
                tensorboard.add_scalar(tag, value, int(seconds), walltime=seconds)

    def values(self) -> dict[str, float]:
        """Return progress within the stage and clips per second; see `Watch.values`."""
        stage = self._run.step.stage
        share = (self._iteration - stage.start) / stage.iters
        rate = self._since_line().clips_per_second
        return {
            'stage_done': LogValue(share, f'{share:.0%}'),
            'clips/s': LogValue(rate, f'{rate:.1f}' if rate < 100 else f'{rate:.0f}'),
        }

    @contextmanager
    def log_line(self, message_logger: Any, values: Mapping[str, Any]) -> Iterator[None]:
        """Give a log line the plan's estimate, and record the iteration; see `Watch.log_line`.

        BasicSR's estimate is (now - start_time) / (iter - start_iter + 1) * (max_iters - iter - 1).
        """
        iteration = int(values.get('iter', self._iteration))
        left = self._estimator.left(min(iteration, self._plan.total_iter))
        self._note(iteration, left, dict(values), message_logger)
        if left is None or not hasattr(message_logger, 'start_time'):
            yield
            return
        with (
            replaced(message_logger, 'start_iter', iteration),
            replaced(message_logger, 'max_iters', iteration + 2),
            replaced(message_logger, 'start_time', time.time() - left),
        ):
            yield

    def end(self) -> None:
        """Log and record the times of the whole run; see `Watch.end`."""
        if self._batch is None:
            return
        self._measure(self._timer.end())
        self._show(self._plan.total_iter)
        self._bar.close()
        self._bar = Bar()
        self._write('end')
        pauses = ', '.join(f'{name} {duration_text(seconds)}' for name, seconds in self._pauses.items() if seconds)
        logger().info(
            f'multigrid: {self._plan.total_iter:,} iterations trained in {duration_text(self._timer.trained)}'
            f'{f" (besides, since the start of this process: {pauses})" if pauses else ""}'
        )

    def _start(self, done: int) -> None:
        """Open the record and the bar; `done` iterations have been trained before."""
        events: list[Event] = []
        if self._path is not None:
            try:
                if done and self._path.exists():
                    events = read_events(self._path)
                self._record = RecordWriter(self._path)
            except OSError as error:
                self._stop_recording(error)
        self._iteration = done
        self._timer.trained = trained_seconds(events, done)
        for event in events:
            if event['event'] in self._pauses and 'seconds' in event and event['iter'] <= done:
                self._estimator.paused(event['event'], event['iter'], float(event['seconds']))
        self._at_line = self._at_bar = Measures(done, self._timer.trained)
        shapes = [[[s.clips, s.frames, s.size] for s in stage.spec.shapes] for stage in self._plan.stages]
        stages = [
            {'start': stage.start, 'iters': stage.iters, 'shapes': each}
            for stage, each in zip(self._plan.stages, shapes, strict=True)
        ]
        self._write(
            'start',
            format=FORMAT,
            name=self._run.file.options.get('name'),
            total_iter=self._plan.total_iter,
            ranks=self._plan.world_size,
            device=str(self._run.model.device),
            stages=stages,
            **self._facts,
        )
        self._bar = progress_bar(done, self._plan.total_iter)

    def _expect_validations(self, seconds: Mapping[RankBatch, float]) -> None:
        """Expect a validation to take the forward part of as many trial steps as it has pixels."""
        pixels = [validation_pixels(dataset) for dataset in self._run.validation_sets]
        batch = max(seconds, key=lambda each: each.shape.pixels)
        each = seconds[batch] / batch.shape.pixels * FORWARD  # all ranks share its pixels, as those of a step
        self._estimator.expect_pause('validation', sum(each * count for count in pixels if count))

    def _measure(self, seconds: float | None) -> None:
        if seconds is not None and self._batch is not None:
            self._estimator.measure(self._batch, seconds, self._waiting)
            self._sums = self._sums.with_waiting(self._waiting)
        self._waiting = 0.0

    def _paused(self, kind: str, seconds: float | None, **values: Any) -> None:
        if seconds is None:
            return
        if kind in self._pauses:
            self._pauses[kind] += seconds
            self._estimator.paused(kind, self._iteration, seconds)
        self._write(kind, seconds=round(seconds, 4), **values)

    def _since_line(self) -> Measures:
        now = self._sums.at(self._iteration, self._timer.elapsed)
        return now.since(self._at_line)

    def _note(self, iteration: int, left: float | None, values: dict[str, Any], message_logger: Any) -> None:
        """Record an iteration and write it to TensorBoard."""
        window, step = self._since_line(), self._run.step
        self._at_line = self._sums.at(self._iteration, self._timer.elapsed)
        facts = {
            'iter_seconds': window.seconds_per_iteration,
            'data_seconds': window.waiting_per_iteration,
            'clips_per_s': window.clips_per_second,
            'mpixel_per_s': window.pixels_per_second / 1e6,
            'memory_mib': peak_memory(self._run.model.device),
            'skipped': skipped_steps(self._run.extensions),
        }
        rates = [float(rate) for rate in values.get('lrs') or []]
        self._write(
            'step',
            left=left,
            stage=step.stage.index + 1,
            clips=step.shape.clips,
            frames=step.shape.frames,
            gt_size=step.shape.size,
            lr=rates,
            losses={name: float(value) for name, value in values.items() if name.startswith('l_')},
            batch=batch_hash(self._run),
            **{name: round(value, 5) if isinstance(value, float) else value for name, value in facts.items()},
        )
        tensorboard = getattr(message_logger, 'tb_logger', None)
        if tensorboard and getattr(message_logger, 'use_tb_logger', False) and 'debug' not in message_logger.exp_name:
            scalars(tensorboard, iteration, {**facts, 'lr': rates[0] if rates else None, 'left_seconds': left})

    def _show(self, done: int) -> None:
        """Show the state between two iterations, with the rate of those that have ended since the last time."""
        ended = self._sums.at(done, self._timer.trained)
        rate, self._at_bar = ended.since(self._at_bar).clips_per_second, ended
        left = self._estimator.left(done)
        stage, shape = self._run.step.stage, self._run.step.shape
        share = (done - stage.start) / stage.iters
        state = [f'{rate:.1f} clips/s'] if rate else []
        state += [] if left is None else [f'{timedelta(seconds=int(left))} left']
        self._bar.show(
            done,
            f'stage {stage.index + 1}/{len(self._plan.stages)} {share:.0%} {shape.clips}x{shape.frames}x{shape.size}',
            ', '.join(state),
        )

    def _write(self, event: str, **values: Any) -> None:
        if self._record is None:
            return
        try:
            self._record.write(event, iter=self._iteration, trained=round(self._timer.elapsed, 3), **values)
        except OSError as error:
            self._stop_recording(error)

    def _stop_recording(self, error: OSError) -> None:
        self._record = None
        logger().warning(f'multigrid: {self._path} cannot be written ({error.strerror}): the run continues without it')


@contextmanager
def _logged_to(messages: list[str]) -> Iterator[None]:
    """Collect the messages of BasicSR's logger for the body of the context."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    collector = Collector()
    logger().addHandler(collector)
    try:
        yield
    finally:
        logger().removeHandler(collector)
