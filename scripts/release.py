"""Make a release: version, changelog and citation, packages checked, a commit and a tag.

    python scripts/release.py 0.2.0            all of it; what it leaves to do is `git push --follow-tags`
    python scripts/release.py --notes v0.2.0   print that version's part of the changelog
    python scripts/release.py --verify v0.2.0  fail unless the files in this tree are of that version

The workflow .github/workflows/release.yml publishes what the tag names. Needs build, twine and setuptools, all in the
environment of `make env`. Nothing is written before everything has been checked.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION_FILE, CITATION, CHANGELOG = 'mg_basicsr/_version.py', 'CITATION.cff', 'CHANGELOG.md'
UNRELEASED = '## [Unreleased]'


class ReleaseError(Exception):
    """What keeps a release from being made, in one sentence."""


def release(version: str, today: datetime.date, root: Path = ROOT) -> list[str]:
    """Write a version into the files that name it.

    Args:
        version: The new version, X.Y.Z, above the present one.
        today: The date of the release.
        root: The repository.

    Returns:
        The files that were written, relative to the repository.

    Raises:
        ReleaseError: the version is not above the present one, or the changelog has nothing for it.
    """
    if number(version) <= number(current(root)):
        raise ReleaseError(f'{version} is not above {current(root)}, the present version')
    texts = {name: (root / name).read_text() for name in (VERSION_FILE, CITATION, CHANGELOG)}
    texts[VERSION_FILE] = replaced(texts[VERSION_FILE], r"__version__ = '.*'", f"__version__ = '{version}'")
    texts[CITATION] = replaced(texts[CITATION], r'^version: .*$', f'version: {version}')
    texts[CITATION] = re.sub(r'^date-released: .*\n', '', texts[CITATION], flags=re.MULTILINE)
    texts[CITATION] = replaced(texts[CITATION], r'^(version: .*)$', rf'\1\ndate-released: {today}')
    texts[CHANGELOG] = dated(texts[CHANGELOG], version, today)
    for name, text in texts.items():
        (root / name).write_text(text)
    return list(texts)


def dated(changelog: str, version: str, today: datetime.date) -> str:
    """Return the changelog with what was unreleased under a version, and an empty unreleased part above it.

    Raises:
        ReleaseError: nothing is unreleased.
    """
    if not notes(changelog, 'Unreleased'):
        raise ReleaseError(f'{CHANGELOG} has nothing under {UNRELEASED}')
    return changelog.replace(UNRELEASED, f'{UNRELEASED}\n\n## [{version}] - {today}', 1)


def notes(changelog: str, version: str) -> str:
    """Return what the changelog says of a version, without its heading; empty if nothing."""
    part = re.search(rf'^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)', changelog, re.MULTILINE | re.DOTALL)
    return part[1].strip() if part else ''


def current(root: Path = ROOT) -> str:
    """Return the present version.

    Raises:
        ReleaseError: the file of the version has none.
    """
    found = re.search(r"__version__ = '(.*)'", (root / VERSION_FILE).read_text())
    if found is None:
        raise ReleaseError(f'{VERSION_FILE} has no version')
    return found[1]


def number(version: str) -> tuple[int, ...]:
    """Return a version as numbers, to be compared.

    Raises:
        ReleaseError: it is not of the form X.Y.Z.
    """
    if not re.fullmatch(r'\d+\.\d+\.\d+', version):
        raise ReleaseError(f'{version}: a version is three numbers, X.Y.Z')
    return tuple(int(part) for part in version.split('.'))


def replaced(text: str, pattern: str, by: str) -> str:
    """Return a text with the one place that matches replaced.

    Raises:
        ReleaseError: none matches.
    """
    changed, count = re.subn(pattern, by, text, count=1, flags=re.MULTILINE)
    if not count:
        raise ReleaseError(f'no line matches {pattern}')
    return changed


def verify(version: str, root: Path = ROOT) -> None:
    """Compare a version with the files.

    Raises:
        ReleaseError: a file is of another version, or the changelog does not have this one.
    """
    if current(root) != version:
        raise ReleaseError(f'{VERSION_FILE} is of {current(root)}, not of {version}')
    if f'\nversion: {version}\n' not in (root / CITATION).read_text():
        raise ReleaseError(f'{CITATION} is of another version than {version}')
    if not notes((root / CHANGELOG).read_text(), version):
        raise ReleaseError(f'{CHANGELOG} has no part for {version}')


def run(*command: str) -> str:
    """Run a command at the root, and return what it prints; its failure ends the release."""
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def make(version: str) -> None:
    """Make a release: files, packages, commit, tag.

    Raises:
        ReleaseError: there are uncommitted changes, or see `release`.
        CalledProcessError: the packages cannot be built or are not right; the files are as they were before.
    """
    if run('git', 'status', '--porcelain', '--untracked-files=no').strip():
        raise ReleaseError('there are changes that are not committed')
    written = release(version, datetime.date.today())
    try:
        run('make', 'dist')
    except subprocess.CalledProcessError:
        run('git', 'checkout', '--', *written)
        raise
    run('git', 'commit', '-m', f'Version {version}', '--', *written)
    run('git', 'tag', '-a', f'v{version}', '-m', f'Version {version}')
    print(
        f'Version {version} is committed and tagged; its packages are in dist/. Publish it with: git push --follow-tags'
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; exit code 2 for what the caller can correct."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('version', help='X.Y.Z, or a tag vX.Y.Z')
    parser.add_argument('--notes', action='store_true', help='print that part of the changelog')
    parser.add_argument('--verify', action='store_true', help='compare the files with the version')
    asked = parser.parse_args(arguments)
    version = asked.version.removeprefix('v')
    try:
        if asked.notes:
            print(notes((ROOT / CHANGELOG).read_text(), version))
        elif asked.verify:
            verify(version)
        else:
            make(version)
    except ReleaseError as error:
        print(f'release: {error}', file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f'release: {" ".join(error.cmd)} failed', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
