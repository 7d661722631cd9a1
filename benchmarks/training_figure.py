"""The figure of training.py: PSNR against minutes, the ratio part by part, and against the size of the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Summary = Mapping[str, Any]


def plot(summary: Summary, shown: tuple[str, ...], path: Path) -> None:
    """Draws the summary.

    Args:
        summary: Of training_summary.py.
        shown: The arms whose curves are drawn.
        path: A PNG.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    panels = 3 if summary['sweep'] else 2
    figure, axes = pyplot.subplots(1, panels, figsize=(4.6 * panels, 3.8), layout='constrained')
    colours = dict(zip(summary['arms'], pyplot.get_cmap('tab10').colors, strict=False))
    draw_curves(axes[0], summary, shown, colours)
    draw_ratios(axes[1], summary, colours)
    if summary['sweep']:
        draw_sweep(axes[2], summary)
    for panel in axes:
        panel.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def draw_curves(axes: Any, summary: Summary, shown: tuple[str, ...], colours: Mapping[str, Any]) -> None:
    """PSNR of every seed against minutes of training."""
    final = 0.0
    for arm in (arm for arm in shown if arm in summary['arms']):
        row = summary['arms'][arm]
        final = max(final, row['psnr'])
        for n, curve in enumerate(row['curves'].values()):
            minutes = [seconds / 60 for _, seconds, _ in curve]
            values = [psnr for _, _, psnr in curve]
            axes.plot(minutes, values, color=colours[arm], linewidth=1.4, label=None if n else arm)
    reference = summary['arms'][summary['reference']]['psnr']
    axes.axhline(reference - 0.02, color='grey', linewidth=0.8, linestyle=':', label="stock's final PSNR - 0.02 dB")
    axes.set(xlabel='minutes of training, loading included', ylabel='PSNR, dB', ylim=(final - 0.6, final + 0.03))
    axes.legend(frameon=False, fontsize=8, loc='lower right')


def draw_ratios(axes: Any, summary: Summary, colours: Mapping[str, Any]) -> None:
    """How many times sooner each arm has the reference's PSNR; its range over the seeds."""
    arms = list(summary['arms'])
    for n, arm in enumerate(arms):
        row = summary['arms'][arm]
        low, high = row['ratio_range']
        axes.barh(n, row['ratio'], color=colours[arm], height=0.6)
        axes.plot([low, high], [n, n], color='black', linewidth=1)
        never = f'never ({row["psnr_difference"]:+.2f} dB at the end)'
        text = never if row['to_target'] is None else f'{row["ratio"]:.1f}x'
        axes.annotate(text, (high, n), xytext=(4, 0), textcoords='offset points', va='center', fontsize=8)
    axes.set_yticks(range(len(arms)), arms, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("times sooner at stock's final PSNR - 0.02 dB")


def draw_sweep(axes: Any, summary: Summary) -> None:
    """Iterations per second against stock's, by the network's arithmetic."""
    reference = summary['reference']
    rows = [row for row in summary['sweep'] if reference in row['arms']]
    for arm in dict.fromkeys(arm for row in rows for arm in row['arms'] if arm != reference):
        points = [
            (row['gflop'], row['arms'][reference]['whole'] / row['arms'][arm]['whole'])
            for row in rows
            if arm in row['arms']
        ]
        axes.plot(*zip(*points, strict=True), marker='o', label=arm)
    axes.set_xscale('log')
    axes.set_ylim(bottom=0)
    axes.set(xlabel='GFLOP per loaded clip', ylabel="stock's time for the same iterations / arm's")
    axes.legend(frameon=False, fontsize=8)
