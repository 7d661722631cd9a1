"""Documentation as a site: it builds without a warning, which includes every link and anchor; every page is in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mg_basicsr

ROOT = Path(__file__).parents[2]


def build(folder: Path, config: Path = ROOT / 'mkdocs.yml') -> subprocess.CompletedProcess[str]:
    # Not --quiet, which also leaves warnings uncounted. The first variable silences an announcement of the theme.
    return subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '-f', str(config), '-d', str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1', 'PYTHONWARNINGS': 'ignore'},
    )


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('documents') / 'site'
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    for path in (ROOT / 'docs').glob('*.md'):
        assert (site / f'{path.stem}.html').is_file(), path.name
    for name in ('index', 'contributing', 'changelog', 'options_files', 'own_preset'):
        assert (site / f'{name}.html').is_file(), name


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob('*.html'):
        fetched = re.findall(r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="(https?://[^"]+)"', page.read_text())
        assert fetched == [], page.name


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    reference = (site / 'reference.html').read_text()
    assert [name for name in mg_basicsr.__all__ if name != '__version__' and name not in reference] == []


@pytest.mark.parametrize('wrong', ['[a](nowhere.md)', '[a](options.md#nowhere)', '[a](../options/nowhere.md)'])
def test_a_wrong_link_fails_the_build(tmp_path: Path, wrong: str) -> None:
    pages = tmp_path / 'docs'
    pages.mkdir()
    (pages / 'index.md').write_text(f'# Page\n\n{wrong}\n')
    (pages / 'options.md').write_text('# Options\n\n## Somewhere\n')
    config = tmp_path / 'mkdocs.yml'
    config.write_text('site_name: x\nstrict: true\nvalidation: {links: {not_found: warn, anchors: warn}}\n')
    assert build(tmp_path / 'site', config).returncode != 0
    (pages / 'index.md').write_text('# Page\n\n[a](options.md#somewhere)\n')
    assert build(tmp_path / 'site', config).returncode == 0
