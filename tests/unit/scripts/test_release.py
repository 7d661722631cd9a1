"""A release: the files that name the version, the notes, the workflow that publishes."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.release import CHANGELOG, CITATION, VERSION_FILE, ReleaseError, current, main, notes, release, verify

ROOT = Path(__file__).parents[3]
TODAY = datetime.date(2030, 1, 2)
WORKFLOW = ROOT / '.github/workflows/release.yml'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (VERSION_FILE, CITATION, CHANGELOG):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / CHANGELOG).write_text('# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n')
    return tmp_path


def test_a_release_is_named_by_all_files(tree: Path) -> None:
    assert release('9.1.0', TODAY, tree) == [VERSION_FILE, CITATION, CHANGELOG]
    assert current(tree) == '9.1.0'
    assert yaml.safe_load((tree / CITATION).read_text())['version'] == '9.1.0'
    assert yaml.safe_load((tree / CITATION).read_text())['date-released'] == TODAY
    assert notes((tree / CHANGELOG).read_text(), '9.1.0') == '### Added\n\n- A thing.'
    verify('9.1.0', tree)


def test_the_next_release_needs_news(tree: Path) -> None:
    release('9.1.0', TODAY, tree)
    before = {name: (tree / name).read_bytes() for name in (VERSION_FILE, CITATION, CHANGELOG)}
    with pytest.raises(ReleaseError, match='nothing under'):
        release('9.2.0', TODAY, tree)
    assert before == {name: (tree / name).read_bytes() for name in before}


@pytest.mark.parametrize('version', ['0.0.1', '9', '9.1', 'v9.1.0', '9.1.0rc1'])
def test_versions_that_are_refused(tree: Path, version: str) -> None:
    with pytest.raises(ReleaseError):
        release(version, TODAY, tree)


@pytest.mark.parametrize('name', [VERSION_FILE, CITATION, CHANGELOG])
def test_a_file_of_another_version_is_found(tree: Path, name: str) -> None:
    old = (tree / name).read_bytes()
    release('9.1.0', TODAY, tree)
    (tree / name).write_bytes(old)
    with pytest.raises(ReleaseError, match=re.escape(name)):
        verify('9.1.0', tree)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--verify', 'v99.0.0']) == 2
    assert '99.0.0' in capsys.readouterr().err
    assert main(['--notes', 'Unreleased']) == 0
    assert capsys.readouterr().out.startswith('###')


def test_the_workflow_is_one() -> None:
    command = [sys.executable, '-m', 'check_jsonschema', '--builtin-schema', 'vendor.github-workflows', str(WORKFLOW)]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0


def test_the_workflow_publishes_without_a_token_and_only_what_was_built() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())['jobs']
    assert jobs['publish']['needs'] == 'build'
    assert jobs['publish']['permissions']['id-token'] == 'write'
    assert 'id-token' not in jobs['build']['permissions']
    assert 'secrets.' not in WORKFLOW.read_text()
    commands = [step['run'] for step in jobs['build']['steps'] if 'run' in step]
    for command in commands:  # what the job calls is there
        for script in re.findall(r'\bscripts/\w+\.py', command):
            assert (ROOT / script).is_file()
    assert any('--verify' in command for command in commands)
