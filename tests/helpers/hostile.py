"""Cases of the hostile tests: how many, with which numbers, and what every one of them must leave true."""

from __future__ import annotations

import os
import random
import re
import unicodedata
from collections.abc import Iterator

SIZE = float(os.environ.get('MG_HOSTILE', '1'))
SEED = int(os.environ.get('MG_HOSTILE_SEED', '0'))
MOST_CHARACTERS = 20_000  # of everything that a command prints about one problem
NOISE = re.compile(r'^(libpng (error|warning): .*|\[ *(WARN|ERROR):.*)$', re.MULTILINE)  # OpenCV's own lines


def cases(number: int) -> Iterator[random.Random]:
    """Random numbers for each of `number` cases at size 1, or more: those of a case are always the same."""
    for case in range(max(1, round(number * SIZE))):
        yield random.Random(f'{SEED} {case}')


def check_told(code: int, text: str, *names: str) -> None:
    """Check how a command ended: well, or with an error that a user can read and that names the cause.

    Args:
        code: Its exit code.
        text: What it printed.
        names: Of which an error must have one, such as that of the damaged file.
    """
    assert code in (0, 2), f'exit code {code}\n{text[-3000:]}'
    text = NOISE.sub('', text)
    assert 'Traceback' not in text and 'Error:' not in text, text[-3000:]
    assert len(text) < MOST_CHARACTERS, text[:3000]
    odd = {char for char in text if unicodedata.category(char) in ('Cc', 'Cf') and char not in '\n\r\t'}
    assert not odd, (odd, text[-3000:])
    if code == 2 and names:
        assert any(name in text for name in names), (names, text[-3000:])
