"""Paths that lead nowhere, or to something else: why, as far as it can be seen, and what to write."""

from __future__ import annotations

import difflib
import os
import re
from typing import NamedTuple

SHOWN = 3  # names
LIKENESS = 0.7  # of a name to one that is there, from which on it is taken to be meant
ARCHIVE = re.compile(r'\.(zip|tar|tgz|7z|rar|(tar\.)?(gz|bz2|xz|zst))$', re.IGNORECASE)
QUOTES = '"\'`\u201c\u201d\u2018\u2019'


class Hint(NamedTuple):
    """Description for a message; empty texts where nothing is known.

    Attributes:
        there: What is in the place of the path, to follow a colon.
        remedy: What the user can do.
        near: The deepest folder of the path that exists, and what it has.
    """

    there: str = ''
    remedy: str = ''
    near: str = ''

    def why(self, what: str) -> str:
        """Return what is wrong with a path, with what is there.

        Args:
            what: What is wrong.
        """
        return f'{what}: {self.there}' if self.there else what

    def advice(self, usual: str) -> str:
        """Return what the user can do.

        Args:
            usual: What can be done if nothing else is known.
        """
        return self.remedy or (f'{usual}; {self.near}' if self.near else usual)


def hint(path: str, expands: bool = True) -> Hint:
    """Describe why a path does not lead to what is looked for.

    >>> hint('"/data"')
    Hint(there='the quotes are a part of it', remedy='write /data', near='')

    Args:
        path: The path, as the user wrote it.
        expands: Whether `~` is expanded by whoever reads it; `path` has been, if it can be.
    """
    if os.path.lexists(path):
        return _of_another_kind(path)
    spelled = _spelled(path, expands)
    if spelled.there:
        return spelled
    return _nearest(path)


def listed(names: list[str]) -> str:
    """Return the first of some names, and how many more there are.

    >>> listed(['a', 'b', 'c', 'd'])
    'a, b, c and 1 more'
    """
    rest = len(names) - SHOWN
    return ', '.join(names[:SHOWN]) + (f' and {rest} more' if rest > 0 else '')


def visible(folder: str) -> list[str]:
    """Return the names in a folder that are not hidden, in order; none if it cannot be listed."""
    try:
        return sorted(name for name in os.listdir(folder or '.') if not name.startswith('.'))
    except (OSError, ValueError):
        return []


def _spelled(path: str, expands: bool) -> Hint:
    """Return what is wrong with the spelling of a path."""
    bare = path.strip().strip(QUOTES).strip()
    if path.strip()[:1] in QUOTES or path.strip()[-1:] in QUOTES:
        return Hint('the quotes are a part of it', f'write {bare}')
    if path != path.strip():
        return Hint('it has a space at an end', f'write {bare}')
    if '://' in path:
        if path.startswith('file://'):
            return Hint('it is an address', f'write {path.removeprefix("file://")}')
        return Hint('it is an address', 'download it, and give the place on the disk')
    if path.startswith('~'):
        home = os.path.expanduser(path)
        if home != path and not expands:
            return Hint('~ is not expanded here', f'write {home}')
        return Hint('there is no such user', 'write the whole path') if home == path else Hint()
    if re.search(r'\$\w|\$\{\w|%\w+%', path):
        meant = os.path.expandvars(path)
        known = meant != path and '$' not in meant
        return Hint(
            'variables of the environment are not expanded', f'write {meant}' if known else 'write the whole path'
        )
    if re.match(r'[A-Za-z]:[\\/]', path):
        return Hint('it is a path of Windows', f'write the path on this system, in WSL /mnt/{path[0].lower()}/...')
    if '\\' in path:
        return Hint('\\ separates no folders on this system', f'write {path.replace(chr(92), "/")}')
    return Hint()


def _of_another_kind(path: str) -> Hint:
    """Return what a path leads to that exists."""
    name, folder = os.path.basename(path), os.path.dirname(os.path.abspath(path))
    if os.path.islink(path) and not os.path.exists(path):
        return Hint(f'it is a link to {os.readlink(path)}, which does not exist', 'restore what it leads to')
    if os.path.isdir(path):
        names = visible(path)
        return Hint(f'it has {listed(names)}' if names else 'it is empty')
    if name == 'data.mdb':
        return Hint('it is the file of an LMDB', f'write {folder}')
    if ARCHIVE.search(name):
        return Hint('it is an archive', 'unpack it, and give the folder')
    return Hint('it is a file')


def _nearest(path: str) -> Hint:
    """Return the deepest folder of a path that exists, what it has, and the name in it that is most alike."""
    parts = os.path.abspath(path).split(os.sep)
    above = next(n for n in range(len(parts) - 1, 0, -1) if os.path.isdir(os.sep.join(parts[:n]) or os.sep))
    folder, missing = os.sep.join(parts[:above]) or os.sep, parts[above]
    names = visible(folder)
    same = [name for name in names if name.casefold() == missing.casefold()]
    alike = same or difflib.get_close_matches(missing, names, 1, LIKENESS)
    if alike:
        meant = os.path.join(folder, alike[0], *parts[above + 1 :])
        if os.path.exists(meant):
            return Hint(f'there is {os.path.join(folder, alike[0])}', f'write {meant}')
    return Hint(near=f'{folder} has {listed(names)}' if names else f'{folder} is empty')
