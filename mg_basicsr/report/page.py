"""Report as one HTML page that needs no network: tables, charts, sample frames, options."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mg_basicsr._version import __version__
from mg_basicsr.report.charts import COLOURS, as_svg, charts
from mg_basicsr.report.experiment import Experiment, differing_options, metrics_of
from mg_basicsr.report.frames import sample_frames
from mg_basicsr.report.summary import final_score, summary
from mg_basicsr.schedule.duration import duration_text

DARK = ('#d7e0e7', '#ef8a6b', '#4fb3dd', '#94c873', '#c299d6', '#e2c25a')  # COLOURS on a dark page


def page(experiments: Sequence[Experiment]) -> str:
    """Return the report as HTML. Names and values of the experiments are escaped.

    Args:
        experiments: At least one; the first is the one to which others are compared.
    """
    loader = PackageLoader('mg_basicsr', 'report')
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template('page.html.j2')
    differing = differing_options(experiments)
    paths = dict.fromkeys(path for experiment in experiments for path in experiment.options)
    every = [(path, [experiment.options.get(path, '') for experiment in experiments]) for path in paths]
    target = final_score(experiments)
    return template.render(
        title=', '.join(experiment.name for experiment in experiments),
        made=datetime.now().strftime('%Y-%m-%d %H:%M'),
        version=__version__,
        light=COLOURS,
        dark=DARK,
        metrics=metrics_of(experiments),
        target=None if target is None else f'{target[2]:.2f} {"dB" if target[1] == "psnr" else target[1]}',
        rows=list(zip(experiments, summary(experiments), strict=True)),
        # of matplotlib, which escapes text in its SVG
        charts=[(name, Markup(as_svg(draw, f'c{n}'))) for n, (name, draw) in enumerate(charts(experiments))],
        stages=[row for experiment in experiments for row in _stages(experiment)],
        frames=sample_frames(experiments),
        options=sorted(every, key=lambda item: item[0] not in differing),
        differing=differing,
    )


def _stages(experiment: Experiment) -> list[list[str]]:
    """Return a row for each stage of an experiment with a plan."""
    rows = []
    points = experiment.history.points
    for stage, seconds in experiment.stage_seconds.items():
        shapes = dict.fromkeys(point.shape for point in points if point.stage == stage and point.shape)
        if not shapes:
            continue
        before = max((point.iteration for point in points if (point.stage or 1) < stage), default=0)
        last = max(point.iteration for point in points if point.stage == stage)
        clips = sum(shape[0] for shape in shapes) / len(shapes)
        rate = f'{(last - before) * clips / seconds:.1f}' if seconds > 0 else '-'
        named = ', '.join(' x '.join(map(str, shape)) for shape in shapes)
        rows.append([experiment.name, str(stage), named, duration_text(seconds), rate])
    return rows
