"""Problem that an exception of the host stands for: the option that it is about, found in the host's own source."""

from __future__ import annotations

import inspect
import linecache
import re
import traceback
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from mg_basicsr.config.host_options import KEYS
from mg_basicsr.errors import MultigridError, Problem
from mg_basicsr.parsing.problems import shown

HOST_ERRORS = (Exception, SystemExit)  # that code of the host may raise
MESSAGE_LENGTH = 300
QUOTED = re.compile(r"""['"]([A-Za-z_]\w*)['"]""")
UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
ABSENT = re.compile(r'missing \d+ required (?:positional|keyword-only) arguments?: (.*)')
REGISTERED = (
    "allowed: names that BasicSR registers, and those of your repository's classes, which its training script imports",
    'correct it, or name that script: `check --script path/to/train.py`, and `run` instead of `train`',
)
UNREGISTERED = re.compile(r"No object named '([^']*)' found in '(\w+)' registry")


def problems_of(error: BaseException, options: Mapping[str, Any], option: str, doing: str) -> list[Problem]:
    """Return the problems of an exception that the host has raised.

    Args:
        error: The exception.
        options: The host's options.
        option: Dotted path of the option, if the source of the host names no nearer one; a section, or a value.
        doing: What the host could not do, as in "BasicSR cannot ...".
    """
    cause = error.__context__ if isinstance(error, SystemExit) else error  # of a function that ends the process cleanly
    if isinstance(cause, MultigridError):
        return list(cause.problems)
    place = option
    if absent := _absent(error, options):
        place = absent.rpartition('.')[0]
    elif not _lacks(_at(options, option), error):
        place = _named_in_source(error, options, option) or _named_by_class(error, options, option) or option
    found, what = part_of(error, place, _at(options, place))
    what = f'{what}BasicSR cannot {doing}: {described(error)}'
    if UNREGISTERED.search(str(error)):
        return [Problem(found, what, *REGISTERED)]
    allowed = 'allowed: what this class of BasicSR, or of your repository, takes'
    return [Problem(found, what, allowed, 'correct it: training would fail')]


def described(error: BaseException) -> str:
    """Return kind and message of an exception on one line."""
    text = ' '.join(str(error).split())
    return ': '.join(part for part in (type(error).__name__, text[:MESSAGE_LENGTH]) if part)


def part_of(error: BaseException, place: str, value: Any) -> tuple[str, str]:
    """Return the option below a place that an exception is about, and its value for the message.

    Args:
        error: The exception.
        place: Dotted path of an option.
        value: Value of the option.
    """
    text = str(error)
    if match := UNREGISTERED.search(text):
        at = place if not isinstance(value, Mapping) else f'{place}.type'
        return at, f'{shown(match[1])} is not registered; '
    if match := UNEXPECTED.search(text):
        given = value.get(match[1]) if isinstance(value, Mapping) else None
        return f'{place}.{match[1]}', f'{shown(given)}, but there is no such option; '
    if match := ABSENT.search(text):
        names = QUOTED.findall(match[1])
        return f'{place}.{names[0]}' if names else place, 'missing; '
    if _lacks(value, error):
        return '.'.join(filter(None, (place, error.args[0]))), 'missing; '
    if isinstance(value, Mapping):
        for wrong in _candidates(error, text, value):
            if len(wrong) == 1:
                return f'{place}.{wrong[0]}', f'{shown(value[wrong[0]])}; '
        return place, f'{shown(dict(value))}; ' if 'type' in value else ''
    return place, f'{shown(value)}; '


def _lacks(section: Any, error: BaseException) -> bool:
    """Return whether an exception is about a key that a section lacks."""
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    return isinstance(section, Mapping) and isinstance(key, str) and key.isidentifier() and key not in section


def _absent(error: BaseException, options: Mapping[str, Any]) -> str | None:
    """Return the option that an exception is about if BasicSR has its key at one place alone, where it is missing."""
    for place in (key.place for key in KEYS):
        above, _, pattern = place.rpartition('.')
        section = _at(options, above)
        if '*' not in above and pattern != '*' and _lacks(section, error) and fnmatchcase(error.args[0], pattern):
            return f'{above}.{error.args[0]}' if above else str(error.args[0])
    return None


def _candidates(error: BaseException, text: str, section: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield keys that an exception may be about, the surest first. Where there is more than one, none is certain."""
    if 'type' in section and not isinstance(section['type'], str):
        yield ['type']
    yield [key for key in section if '_' in key and re.search(rf'\b{re.escape(key)}\b', text)]
    yield list(_of_another_type(error, section))
    yield list(_named_in_message(text, section))
    types = {key: type(value) for key, value in section.items() if key != 'type'}
    told = [key for key, kind in types.items() if re.search(rf"'(\w+\.)*{kind.__name__}'", text)]
    yield [key for key in told if types[key] not in (int, float)]
    yield [key for key in told if types[key] is float]
    yield [key for key, value in section.items() if isinstance(value, (str, list, Mapping)) and not value]


def _of_another_type(error: BaseException, section: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys whose value is of another type than the default of the parameter that it is given to."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        made = frame.f_locals.get('self')
        if made is None or type(made).__name__ != section.get('type'):
            continue
        for name, parameter in inspect.signature(type(made).__init__).parameters.items():
            default = parameter.default
            given = name in section and default is not parameter.empty and default is not None
            if given and _kind(section[name]) is not _kind(default):
                yield name
        return


def _kind(value: Any) -> type:
    """Return the type of a value, one for numbers and one for lists and tuples."""
    kinds = {int: float, tuple: list}
    return kinds.get(type(value), type(value))


def _named_in_message(text: str, section: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys whose value stands in a message. Numbers do that by chance, unless they are negative or broken."""
    for key, value in section.items():
        told = str(value)
        common = type(value) is int and value >= 0
        if told and not common and re.search(rf'(?<!\w){re.escape(told)}(?!\w)', text):
            yield key


def _named_in_source(error: BaseException, options: Mapping[str, Any], within: str) -> str | None:
    """Return the option whose key stands in the line of source that failed, or in a line that called it."""
    outside = Path(torch.__file__).parent
    here = Path(__file__).parents[2]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if outside in file.parents or here in file.parents:
            continue
        first = frame.lineno or 0
        in_loop = linecache.getline(frame.filename, first).lstrip().startswith('for ')  # the lines of its body follow
        last = first if in_loop else max(first, frame.end_lineno or first)
        line = ' '.join(linecache.getline(frame.filename, n) for n in range(first, last + 1))
        for key in reversed(QUOTED.findall(line)):
            places = [place for place in _places(options, key) if not _in_another_set(place, within)]
            near = [place for place in places if place.startswith(f'{within}.')]
            if len(near or places) == 1:
                return (near or places)[0]
    return None


def _named_by_class(error: BaseException, options: Mapping[str, Any], within: str) -> str | None:
    """Return the section whose class has failed, or has called what failed."""
    types: dict[str, str] = {}
    for place in (f'{within}.type', *_places(options, 'type')):  # of several of one class, the one in question
        if isinstance(_at(options, place), str) and not _in_another_set(place, within):
            types.setdefault(_at(options, place), place.removesuffix('.type'))
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        name = type(frame.f_locals.get('self')).__name__
        if name in types:
            return types[name]
    return None


def _in_another_set(place: str, within: str) -> bool:
    """Return whether an option is one of another data set than the one in question."""
    sets = [path.split('.')[:2] for path in (place, within) if path.startswith('datasets.')]
    return len(sets) == 2 and sets[0] != sets[1]


def _places(options: Mapping[str, Any], key: str, path: str = '') -> Iterator[str]:
    """Yield the dotted path of every option of this name."""
    for name, value in options.items():
        if name == key:
            yield f'{path}{name}'
        if isinstance(value, Mapping):
            yield from _places(value, key, f'{path}{name}.')


def _at(options: Mapping[str, Any], place: str) -> Any:
    value: Any = options
    for part in place.split('.') if place else ():
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
