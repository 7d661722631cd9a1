"""Try a case: without the block, over a change of shape, killed and resumed, on two ranks. The result is a record."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from tests.wild import layouts, runs
from tests.wild.cases import ITERATIONS, WITHOUT_BLOCK, Case, cut_down
from tests.wild.checkouts import copy_of, git, left_behind

EXIT_REFUSED = 2
Record = dict[str, Any]


class Trial:
    """A case in a folder of its own.

    Args:
        case: The case.
        checkout: The repository.
        folder: An empty folder: gets a copy of the repository, data, options files and output.
    """

    def __init__(self, case: Case, checkout: Path, folder: Path) -> None:
        self.case, self.folder = case, folder
        self.copy = copy_of(checkout, folder / 'repository')
        self.data = folder / 'data'
        getattr(layouts, case.layout)(self.data)
        self.options = yaml.safe_load((self.copy / case.options).read_text())

    def write(self, name: str, block: bool = True, resume_state: Path | None = None) -> Path:
        """Write the options file of an experiment."""
        options = cut_down(self.case, self.options, self.data, name, ITERATIONS if block else WITHOUT_BLOCK)
        options['path']['resume_state'] = str(resume_state) if resume_state else None
        if block:
            options['multigrid'] = dict(self.case.block)
        path = self.folder / f'{name}.yml'
        path.write_text(yaml.safe_dump(options, sort_keys=False))
        return path

    def train(self, name: str, block: bool = True, ranks: int = 1) -> runs.Done:
        """Train an experiment to the end, on one rank or two."""
        start = runs.train if ranks == 1 else runs.train_on_ranks
        return start(self.case, self.copy, self.write(name, block), self.folder / f'{name}.txt')

    def kill_and_resume(self) -> Record:
        """Kill a run once it has saved, resume it, and compare what it ends with with the run that was left alone."""
        name, log = 'killed', self.folder / 'killed.txt'
        options = self.write(name)
        at = runs.train_until_saved(self.case, self.copy, options, log, name)
        if not at:
            return {'resume': 'no training state was written'}
        state = runs.experiment(self.copy, name) / f'training_states/{at}.state'
        if self.case.resume == 'option':
            options = self.write(name, resume_state=state)
        flag = ['--auto_resume'] if self.case.resume == 'flag' else []
        done = runs.train(self.case, self.copy, options, self.folder / 'resumed.txt', *flag)
        if done.code:
            return {'killed_at': at, 'resume': runs.reason(done, self.copy)}
        first = min((step[0] for step in runs.steps(self.copy, name) if step[0] > at), default=0)
        whole, resumed = (runs.networks(self.copy, which, 'latest') for which in ('whole', name))
        equal = whole.keys() == resumed.keys() and all(torch.equal(whole[key], resumed[key]) for key in whole)
        exact = bool(whole) and equal and first == at + 1
        return {'killed_at': at, 'resume': 'exact' if exact else f'differs: starts at {first}, weights equal: {equal}'}


def tried(case: Case, checkout: Path, folder: Path) -> Record:
    """Try a case, and return its record.

    Args:
        case: The case.
        checkout: The repository.
        folder: An empty folder.
    """
    trial = Trial(case, checkout, folder)
    record: Record = {
        'repository': case.repository,
        'commit': git(trial.copy, 'rev-parse', 'HEAD'),
        'options': case.options,
        'command': 'mg-basicsr ' + ' '.join(runs.command(case, case.options)),
        'python': platform.python_version(),
        'torch': version('torch'),
        'note': case.note,
    }
    stock = trial.train('stock', block=False)
    if stock.code:
        return {**record, 'stock': runs.reason(stock, trial.copy)}
    record['stock'] = 'trains'
    whole = trial.train('whole')
    record |= {'code': whole.code, 'seconds': [round(done.seconds, 1) for done in (stock, whole)]}
    if whole.code:
        refused = whole.code == EXIT_REFUSED and 'Traceback' not in whole.output
        message = whole.output.strip().split('\n\n')[-1]
        return {**record, 'refused' if refused else 'failed': message if refused else runs.reason(whole, trial.copy)}
    steps = runs.steps(trial.copy, 'whole')
    record['steps'] = [{'iteration': n, 'frames': t, 'gt_size': size, **loss} for n, t, size, loss in steps]
    record['final'] = max((step[0] for step in steps), default=0)
    record |= trial.kill_and_resume()
    if case.ranks:
        two = trial.train('ranks', ranks=2)
        record['ranks'] = 'trains' if not two.code else runs.reason(two, trial.copy)
    record['left_behind'] = left_behind(trial.copy)
    return record


def problems(case: Case, record: Record) -> list[str]:
    """What of a record is not as its case says."""
    if case.out_of_reach:
        return [] if case.out_of_reach in record['stock'] else [f'stock: {record["stock"]}']
    if record['stock'] != 'trains':
        return [f'stock: {record["stock"]}']
    if case.refused:
        return [] if case.refused in record.get('refused', '') else [f'not refused with {case.refused!r}: {record}']
    found = [f'{key}: {record[key]}' for key in ('refused', 'failed') if record.get(key)]
    if found:
        return found
    shapes = {(step['frames'], step['gt_size']) for step in record['steps']}
    if len(shapes) < 2:
        found.append(f'no change of shape: {shapes}')
    iterations = [step['iteration'] for step in record['steps']]
    if iterations != list(range(1, len(iterations) + 1)):
        found.append(f'iterations: {iterations}')
    if any(value in ('nan', 'inf') for step in record['steps'] for value in step.values()):
        found.append('losses are not finite')
    if record['resume'] != 'exact':
        found.append(f'resume: {record["resume"]}')
    if record.get('ranks', 'trains') != 'trains':
        found.append(f'two ranks: {record["ranks"]}')
    if record['left_behind']:
        found.append(f'left behind: {record["left_behind"]}')
    return found
