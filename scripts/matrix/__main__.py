"""Run the sets of the matrix, and write the table of docs/compatibility.md and its record.

    python -m scripts.matrix                                  all sets, one after another
    python -m scripts.matrix 1.4.2 newest --tests tests/unit  two of them, with all unit tests
    python -m scripts.matrix --python 3.14=/path/to/python    an interpreter that uv does not find by its version
    python -m scripts.matrix --clone path/to/BasicSR clone    the set of BasicSR's repository, not built
    python -m scripts.matrix --cached                         sets whose environments were kept by --keep, as CI does it

An environment takes 6 GB while it is used. Sets that are not run keep their line of the record; `--tests` without a
name trains only, and keeps the counts of the record where the versions are the same.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.matrix.environment import ROOT, MatrixError, make, run, versions
from scripts.matrix.sets import CLONE, EDGES, SETS, Set
from scripts.matrix.table import DOCUMENT, table, with_table

RECORD = ROOT / 'benchmarks/results/matrix.json'
CACHE = Path(os.environ.get('XDG_CACHE_HOME', '~/.cache')).expanduser() / 'mg_basicsr'
# Unit tests in which another version of Python or of a library can make a difference, without those that take long.
QUICK = ('tests/unit/data/crops', 'tests/integration/test_samples_equal_basicsr.py')
COUNTS = re.compile(r'(\d+) (passed|failed|skipped|error)')


def main() -> int:
    """Run the sets that the command line names, and return 1 if one of them failed."""
    arguments = _arguments()
    failed = False
    for name in arguments.sets or (EDGES if arguments.cached else SETS):
        folder = CACHE / f'matrix-{name}'
        if arguments.cached and not (folder / 'ready').exists():
            print(f'{name}: no environment is kept, so nothing is run', flush=True)
            continue
        found = result(SETS[name], folder, arguments)
        print(f'{name}: {json.dumps(found)}', flush=True)
        failed = failed or not good(found)
        if not arguments.cached:
            record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
            earlier = record.get(name, {})
            if not arguments.tests and earlier.get('versions') == found.get('versions'):
                found |= {key: earlier[key] for key in ('tests', 'of', 'failures') if key in earlier}
            record[name] = found
            RECORD.write_text(json.dumps(record, indent=1) + '\n')
            DOCUMENT.write_text(with_table(DOCUMENT.read_text(), table(record)))
            if not arguments.keep:
                shutil.rmtree(folder, ignore_errors=True)
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m scripts.matrix', description='Run the matrix of hosts.')
    parser.add_argument('sets', nargs='*', choices=[*SETS, []], help=f'of {", ".join(SETS)}; all by default')
    parser.add_argument('--python', action='append', default=[], metavar='3.14=PATH', help='an interpreter')
    parser.add_argument('--clone', type=Path, help="a clone of BasicSR's repository, for the set `clone`")
    parser.add_argument('--tests', nargs='*', default=list(QUICK), help='tests that are run; a chosen part by default')
    parser.add_argument('--keep', action='store_true', help='do not remove the environments')
    parser.add_argument('--cached', action='store_true', help='run only what was kept, and write nothing')
    return parser.parse_args()


def result(what: Set, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the environment of a set, run the tests and the training in it, and return what came of it.

    Args:
        what: The set.
        folder: The environment.
        arguments: The command line.
    """
    start = time.time()
    interpreters = dict(text.split('=', 1) for text in arguments.python)
    path = [arguments.clone.resolve()] if what.basicsr == CLONE and arguments.clone else []
    if what.basicsr == CLONE and not path:
        return {'error': 'no clone was named: --clone path/to/BasicSR'}
    try:
        make(what, folder, interpreters.get(what.python, what.python))
    except MatrixError as error:
        return {'error': str(error)}
    found: dict[str, Any] = {'basicsr': what.basicsr, 'versions': versions(folder), 'tests': {}, 'of': arguments.tests}
    if arguments.tests:
        done = run(folder, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *arguments.tests, path=path)
        found['tests'] = {kind: int(count) for count, kind in COUNTS.findall(done.stdout[-400:])}
        found['failures'] = re.findall(r'^(?:FAILED|ERROR) (\S+)', done.stdout, re.MULTILINE)
    with tempfile.TemporaryDirectory() as work:
        done = run(folder, '-m', 'scripts.matrix.training', work, path=path)
    if done.returncode:
        found['training'] = {'error': (done.stderr or done.stdout).strip().rpartition('\n')[2][:300]}
    else:
        found['training'] = json.loads(done.stdout.splitlines()[-1])
        found['training']['basicsr'] = found['training']['basicsr'].partition(' in ')[0]
    return {**found, 'seconds': round(time.time() - start), 'date': str(datetime.date.today())}


def good(found: dict[str, Any]) -> bool:
    """Return whether a set passed its tests, trained through its stages, and resumed to the same weights."""
    training = found.get('training', {})
    tests = found.get('tests', {})
    return training.get('resumed') is True and not tests.get('failed') and not tests.get('error')


if __name__ == '__main__':
    sys.exit(main())
