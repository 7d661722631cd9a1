"""BasicSR's logs, read back: of one start, of several, with several validation sets and metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from mg_basicsr.errors import DataError
from mg_basicsr.report.history import Score, scores_of, seconds_to
from mg_basicsr.report.training_log import parse_log, parse_validation, read_logs
from tests.helpers.run_logs import STEP, stock_log


def test_a_stock_log() -> None:
    log = parse_log(stock_log(0, 300).splitlines())
    assert (log.iterations, log.total_iter, log.finished) == (300, 300, True)
    assert log.seconds == pytest.approx(300 * STEP)  # validations are not in it
    point = log.points[0]
    assert (point.iteration, point.lr, point.iter_seconds, point.data_seconds) == (10, 2e-4, 2.0, 0.1)
    assert point.stage is None and point.shape is None
    assert point.losses['l_pix'] == 0.025 and point.losses['l_g'] != point.losses['l_g']


def test_validations_of_all_sets_and_metrics() -> None:
    log = parse_log(stock_log(0, 300).splitlines())
    assert [score.iteration for score in scores_of(log, 'REDS4', 'psnr')] == [50, 100, 150, 200, 250, 300]
    assert log.scores[0].metrics == {'psnr': 25.05, 'ssim': 0.7} and log.scores[0].value == 25.05
    assert {score.dataset for score in log.scores} == {'REDS4', 'Vid4'}
    assert scores_of(log, 'REDS4', 'psnr')[-1].value == 25.3  # the one at the very end is of the same iteration


def test_the_shape_of_a_run_with_a_block() -> None:
    line = (
        stock_log(0, 10).splitlines()[-1] + 'stage: 2/6 clips: 8 frames: 7 gt_size: 128 stage_done: 35% clips/s: 12.3 '
    )
    log = parse_log(['2026-01-02 03:04:05,000 INFO: Start training from epoch: 0, iter: 0', line])
    assert (log.points[0].stage, log.points[0].shape) == (2, (8, 7, 128))


def test_resumed_runs_are_one(tmp_path: Path) -> None:
    """Stopped at 130, resumed from 100 a day later: 30 iterations are lost, and the day does not count."""
    parts = [tmp_path / 'train_a_20260102_030405.log', tmp_path / 'train_a_20260103_030405.log']
    parts[0].write_text(stock_log(0, 130))
    parts[1].write_text(stock_log(100, 300, day=1))
    log = read_logs(parts)
    assert log.seconds == pytest.approx(300 * STEP) and log.finished
    assert [point.iteration for point in log.points] == list(range(10, 301, 10))
    assert [score.seconds for score in scores_of(log, 'REDS4', 'psnr')] == pytest.approx(
        [STEP * iteration for iteration in range(50, 301, 50)]
    )


def test_an_unfinished_log() -> None:
    text = stock_log(0, 130)
    log = parse_log(text[: text.rindex('lr:')].splitlines())
    assert (log.iterations, log.finished) == (120, False)


def test_a_log_without_iterations(tmp_path: Path) -> None:
    path = tmp_path / 'train_a.log'
    path.write_text('2026-01-02 03:04:05,000 INFO: Model [SRModel] is created.\n')
    with pytest.raises(DataError, match='no iteration in it'):
        read_logs([path])


@pytest.mark.parametrize(
    'text', ['', 'Validation', 'Validation REDS4', 'Start training', 'Validation is off\nno metric']
)
def test_other_messages_are_no_validation(text: str) -> None:
    assert parse_validation(text) is None


def test_seconds_to_a_score() -> None:
    scores = [Score(10, 10.0, 20.0), Score(20, 20.0, 22.0), Score(30, 30.0, 21.0)]
    assert [seconds_to(scores, value) for value in (19.0, 21.0, 22.0, 23.0)] == [10.0, 15.0, 20.0, None]
