"""A script runs as by `python script.py`, here and in workers that are spawned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import multiprocessing, sys
import helper

def report():
    import mg_basicsr
    print('worker', __name__, helper.VALUE, flush=True)

if __name__ == '__main__':
    print('main', sys.argv[1:], helper.VALUE, __file__, flush=True)
    worker = multiprocessing.get_context('spawn').Process(target=report)
    worker.start()
    worker.join()
"""


def test_a_script_and_its_spawned_worker(tmp_path: Path) -> None:
    folder = tmp_path / 'code'
    folder.mkdir()
    (folder / 'train.py').write_text(SCRIPT)
    (folder / 'helper.py').write_text('VALUE = 3\n')
    command = [sys.executable, '-m', 'mg_basicsr', 'run', 'code/train.py', '--flag', '-x', '1']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    main, worker = done.stdout.splitlines()
    assert main == f"main ['--flag', '-x', '1'] 3 {tmp_path / 'code/train.py'}"
    assert worker == 'worker __mp_main__ 3'


def test_without_basicsr_train_says_what_to_install(tmp_path: Path) -> None:
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'basicsr':
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Blocked())
from mg_basicsr.cli.main import main
main(['train', '-opt', 'x.yml'])
"""
    (tmp_path / 'x.yml').write_text('name: x\n')
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert 'basicsr is not installed' in done.stderr
