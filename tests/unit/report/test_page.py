"""The page of a report, its pictures and its figures."""

from __future__ import annotations

import csv
import io
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml

from mg_basicsr.report.charts import as_svg, charts, save_charts
from mg_basicsr.report.experiment import differing_options, metrics_of, read_experiment
from mg_basicsr.report.frames import sample_frames
from mg_basicsr.report.page import page
from mg_basicsr.report.summary import as_csv, summary
from tests.helpers.run_logs import recorded, stock_log

HOSTILE = '<script>alert(1)</script>_$x^{$ "&\' {{ 7*7 }}'


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ''
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def stock(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / 'train_stock_20260102_030405.log').write_text(stock_log(0, 300))
    return folder


def test_one_page_for_a_record_and_a_stock_log(tmp_path: Path) -> None:
    folders = [stock(tmp_path / 'stock'), recorded(tmp_path / 'mine')]
    (folders[0] / 'a.yml').write_text('# CMD:\n# train.py\n\nname: stock\ntrain: {total_iter: 300, lr: 1}\nscale: 4\n')
    (folders[1] / 'a.yml').write_text(
        'name: mine\ntrain: {total_iter: 300, lr: 1}\nscale: 4\nmultigrid: {preset: lin2022}\n'
    )
    experiments = [read_experiment(folder) for folder in folders]
    read = Reader(page(experiments))
    assert read.tags.count('svg') == 2 * len(metrics_of(experiments)) + 2
    for shown in (
        '1: stock',
        '2: mine',
        '10 min',
        '25.30 dB',
        'multigrid.preset',
        'mg-basicsr train -opt a.yml',
        '4 x 6 x 128',
    ):
        assert shown in read.text
    assert differing_options(experiments) == {'multigrid.preset': ['', 'lin2022']}


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    read = Reader(page([read_experiment(recorded(tmp_path / 'a'))]))
    assert not {'script', 'link', 'iframe', 'object', 'base'} & set(read.tags)
    sources = [value for name, value in read.attributes if name in ('src', 'href', 'xlink:href', 'action')]
    assert all(value and value.startswith(('#', 'data:image/png;base64,')) for value in sources)
    assert 'url(http' not in page([read_experiment(tmp_path / 'a')])


def test_names_and_values_are_text(tmp_path: Path) -> None:
    folder = recorded(tmp_path / HOSTILE.replace('/', '-'))
    (folder / 'a.yml').write_text(yaml.safe_dump({'name': 'x', HOSTILE: '<img src=x onerror=alert(1)>'}))
    experiment = read_experiment(folder)
    text = page([experiment, experiment])
    read = Reader(text)
    assert not {'script', 'img'} & set(read.tags)
    assert '<img src=x onerror=alert(1)>' in read.text and '{{ 7*7 }}' in read.text
    save_charts([experiment], tmp_path / 'a.png')  # `$` begins no formula


@pytest.mark.parametrize('text', ["a: 'b", 'a: [1', '\t', '- 1', '*x'])
def test_an_options_file_that_cannot_be_read_is_left_out(tmp_path: Path, text: str) -> None:
    (recorded(tmp_path / 'a') / 'a.yml').write_text(text)
    assert 'finished' in page([read_experiment(tmp_path / 'a')])


def test_ids_of_charts_stay_apart_and_colours_are_variables(tmp_path: Path) -> None:
    drawn = charts([read_experiment(recorded(tmp_path / '_a'))])
    texts = [as_svg(draw, f'c{number}') for number, (_, draw) in enumerate(drawn)]
    ids = [
        {element.get('id') for element in ElementTree.fromstring(text).iter() if element.get('id')} for text in texts
    ]
    assert not set.intersection(*ids) and all(ids)
    assert all('var(--line-0)' in text and 'var(--text)' in text for text in texts)
    assert '1: _a' in texts[0]  # matplotlib leaves out labels with this beginning


def test_rows_and_the_ratio(tmp_path: Path) -> None:
    slow, fast = recorded(tmp_path / 'slow'), recorded(tmp_path / 'fast', speed=4)
    live = recorded(tmp_path / 'live', last=40)
    rows = summary([read_experiment(folder) for folder in (slow, fast, live)])
    assert [row.ratio for row in rows] == ['', '4.00x', '']
    assert [row.reached for row in rows] == ['1 min 40 s', '25 s', 'not reached']
    assert rows[0].state == 'finished' and rows[2].state.startswith('not finished, 1 min left')
    assert rows[2].iterations == '40 of 100' and rows[0].scores == ['30.00 dB', '0.6000']


def test_csv_has_all_figures(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(as_csv([read_experiment(recorded(tmp_path / 'a'))]))))
    assert [row['kind'] for row in rows].count('step') == 10
    score = next(row for row in rows if row['kind'] == 'score' and row['metric'] == 'ssim')
    assert (score['iteration'], score['seconds_trained'], score['value'], score['dataset']) == (
        '20',
        '20.0',
        '0.52',
        'REDS4',
    )


@pytest.mark.parametrize('ending', ['png', 'svg'])
def test_pictures(tmp_path: Path, ending: str) -> None:
    save_charts([read_experiment(recorded(tmp_path / 'a'))], tmp_path / f'charts.{ending}')
    assert (tmp_path / f'charts.{ending}').stat().st_size > 5000


def test_the_newest_of_each_frame_side_by_side(tmp_path: Path) -> None:
    folders = [recorded(tmp_path / name) for name in ('a', 'b')]
    for folder, iterations in zip(folders, ((50, 100), (100,)), strict=True):
        for iteration in iterations:
            path = folder / f'visualization/baby/baby_{iteration}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((40, 60, 3), iteration, np.uint8))
            os.utime(path, (iteration, iteration))
    ((name, images),) = sample_frames([read_experiment(folder) for folder in folders])
    assert name == 'baby/baby' and images[0] == images[1] != ''
    (folders[1] / 'visualization/baby/baby_100.png').write_bytes(b'no image')
    ((_, images),) = sample_frames([read_experiment(folder) for folder in folders])
    assert images[0] and images[1] == ''


def test_an_experiment_without_validations(tmp_path: Path) -> None:
    folder = tmp_path / 'a'
    folder.mkdir()
    (folder / 'train_a_20260102_030405.log').write_text(stock_log(0, 40))
    assert Reader(page([read_experiment(folder)])).tags.count('svg') == 2
