"""The rules by which an arm of training.py counts as faster, as functions of the records.

    target   mean of stock's final PSNR over its seeds, without slack
    time     mean seconds of whole runs: loading, start-up check, steps, logs; all but validation
    counts   the arm's mean final PSNR is not below the target: Welch's one-sided t-test p < 0.01, 10 seeds or more each

Seeds below 1000 are for development: whatever was chosen by looking at their scores is never judged by them. An arm
ends where its schedule ends. Final scores do not depend on what else the machine does, times do: runs that were not
alone on it give their PSNR only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

from scipy.stats import ttest_ind

FIRST_CLAIM = 1000
LEAST_SEEDS = 10
LEVEL = 0.01
Record = Mapping[str, Any]


class Verdict(NamedTuple):
    """An arm against stock, at one length of run.

    Attributes:
        seeds: Number of seeds that count.
        psnr: Mean final PSNR, dB.
        difference: Of the means, dB.
        p: Of a one-sided t-test that the arm's mean is above stock's; None with fewer than two seeds each.
        seconds: Mean of the timed runs; None if there is none.
        timed: Their number.
        ratio: Stock's seconds / the arm's.
        counts: Whether the arm reaches stock's PSNR by the rules.
    """

    seeds: int
    psnr: float
    difference: float
    p: float | None
    seconds: float | None
    timed: int
    ratio: float | None
    counts: bool


def claims(records: Sequence[Record]) -> list[Record]:
    """Those of seeds that nothing was chosen by."""
    return [record for record in records if record['seed'] >= FIRST_CLAIM]


def final_psnr(record: Record) -> float:
    """Of the last validation, dB."""
    return float(record['curve'][-1][2])


def mean_seconds(records: Sequence[Record]) -> float | None:
    """Of the runs that were alone on the machine."""
    timed = [record['seconds'] for record in records if record['timed']]
    return mean(timed) if timed else None


def judge(stock: Sequence[Record], arm: Sequence[Record]) -> Verdict:
    """The verdict on an arm, from the claims of one length; both have at least one."""
    target, scores = [final_psnr(run) for run in stock], [final_psnr(run) for run in arm]
    p = None
    if min(len(target), len(scores)) > 1 and arm is not stock:
        p = float(ttest_ind(scores, target, equal_var=False, alternative='greater').pvalue)
    theirs, own = mean_seconds(stock), mean_seconds(arm)
    return Verdict(
        seeds=len(scores),
        psnr=mean(scores),
        difference=mean(scores) - mean(target),
        p=p,
        seconds=own,
        timed=sum(run['timed'] for run in arm),
        ratio=theirs / own if theirs and own else None,
        counts=p is not None and p < LEVEL and min(len(target), len(scores)) >= LEAST_SEEDS,
    )
