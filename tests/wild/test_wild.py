"""Other people's repositories, unedited, under a plan.

Off by default. With checkouts in a folder (each as owner+name, owner/name or name; missing ones are left out):

    MG_WILD=folder pytest tests/wild -m slow -p xdist -n 1

MG_WILD_PYTHON is an interpreter with basicsr and what the repositories import, MG_WILD_PYTHON_BARE one without
basicsr, for those that have one of their own. Records are appended to MG_WILD_RECORDS; `python -m tests.wild.table`
makes the table of docs/compatibility.md from them.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.wild.cases import Case, all_cases
from tests.wild.checkouts import checkout_of
from tests.wild.record import problems, tried

FOLDER = os.environ.get('MG_WILD')
RECORDS = os.environ.get('MG_WILD_RECORDS')

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FOLDER, reason='MG_WILD names no folder of checkouts')]


@pytest.mark.parametrize('case', all_cases(), ids=lambda case: case.name)
def test_a_repository(case: Case, tmp_path: Path) -> None:
    checkout = checkout_of(Path(FOLDER or '.'), case.repository)
    if checkout is None:
        pytest.skip(f'no checkout of {case.repository}')
    record = tried(case, checkout, tmp_path)
    found = problems(case, record)
    if RECORDS:
        with open(RECORDS, 'a') as file:
            file.write(json.dumps({**record, 'problems': found}) + '\n')
    assert not found, '\n'.join(found)
    shutil.rmtree(tmp_path)
