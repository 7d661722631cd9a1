"""The figure of training.py: minutes of whole runs with their PSNR, the scores of all seeds, and network sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Summary = Mapping[str, Any]


def plot(summary: Summary, path: Path) -> None:
    """Draws the summary; nothing if there are no runs.

    Args:
        summary: Of training_summary.py.
        path: A PNG.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    lengths = {length: arms for length, arms in summary['lengths'].items() if arms}
    panels = 2 * len(lengths) + bool(summary['sweep'])
    if not panels:
        return
    figure, axes = pyplot.subplots(1, panels, figsize=(4.4 * panels, 3.4), layout='constrained', squeeze=False)
    for n, (length, arms) in enumerate(lengths.items()):
        colours = dict(zip(arms, pyplot.get_cmap('tab10').colors, strict=False))
        draw_minutes(axes[0][2 * n], length, arms, colours)
        draw_scores(axes[0][2 * n + 1], length, arms, colours)
    if summary['sweep']:
        draw_sweep(axes[0][-1], summary)
    for panel in axes[0]:
        panel.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def draw_minutes(axes: Any, length: int, arms: Mapping[str, Any], colours: Mapping[str, Any]) -> None:
    """Minutes of the whole run of each arm, stock first."""
    timed = [arm for arm, row in arms.items() if row['seconds']]
    for n, arm in enumerate(timed):
        minutes = arms[arm]['seconds'] / 60
        axes.barh(n, minutes, color=colours[arm], height=0.6)
        ratio = '' if n == 0 else f', {arms[arm]["ratio"]:.1f}x'
        axes.annotate(f'{minutes:.1f}{ratio}', (minutes, n), xytext=(4, 0), textcoords='offset points', va='center')
    axes.set_yticks(range(len(timed)), timed)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set(xlabel='minutes of the whole run, loading included', title=f'options file of {length:,} iterations')


def draw_scores(axes: Any, length: int, arms: Mapping[str, Any], colours: Mapping[str, Any]) -> None:
    """Final PSNR of every seed; the line is the target, the mean of stock."""
    for n, (arm, row) in enumerate(arms.items()):
        scores = list(row['scores'].values())
        axes.plot(scores, [n] * len(scores), 'o', color=colours[arm], alpha=0.6, markersize=5)
        p = '' if row['p'] is None else f'{row["difference"]:+.3f} dB, p = {row["p"]:.0e}'
        axes.annotate(p, (row['psnr'], n), xytext=(0, 8), textcoords='offset points', ha='center', fontsize=8)
    target = next(iter(arms.values()))['psnr']
    axes.axvline(target, color='grey', linewidth=0.8, linestyle=':')
    axes.set_yticks(range(len(arms)), list(arms))
    axes.invert_yaxis()
    axes.margins(y=0.2)
    axes.set(xlabel='final PSNR of each seed, dB', title=f'{length:,} iterations: target {target:.3f} dB')


def draw_sweep(axes: Any, summary: Summary) -> None:
    """Stock's time for an iteration against the arms', by the network's arithmetic."""
    stock = summary['stock']
    rows = [row for row in summary['sweep'] if stock in row['arms']]
    for arm in dict.fromkeys(arm for row in rows for arm in row['arms'] if arm != stock):
        points = [(row['gflop'], row['arms'][stock] / row['arms'][arm]) for row in rows if arm in row['arms']]
        axes.plot(*zip(*points, strict=True), marker='o', label=arm)
    axes.set_xscale('log')
    axes.set_ylim(bottom=0)
    axes.set(xlabel='GFLOP per loaded clip', ylabel="stock's time per iteration / arm's")
    axes.legend(frameon=False, fontsize=8)
