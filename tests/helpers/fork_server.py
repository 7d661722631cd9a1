"""Server that runs Python command lines in forks of itself, in which torch, BasicSR and the package are imported.

Run as a script, with the names of modules to import in place of those. Each line of its input is a job, in JSON; its
answer is one line with the exit code. A fork behaves as `python arguments...` started for the job would: working
directory, environment, sys.argv, sys.path[0], the standard streams and the handling of signals are those of a process
of its own. Only the modules are not torn down where it succeeds: that would take longer than many a training, since it
copies every page of the server.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading
from typing import Any, NoReturn

IMPORTED = ('mg_basicsr', 'basicsr.train')


def become(job: dict[str, Any]) -> None:
    """Turn this process, just forked, into the one that the job describes."""
    os.chdir(job['folder'])
    os.environ.clear()
    os.environ.update(job['environment'])
    places = os.environ.get('PYTHONPATH', '').split(os.pathsep)
    sys.path[1:1] = [place for place in places if place and place not in sys.path]
    # Python starts without this handler where SIGINT is ignored, as in a background job of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    streams = [os.open(os.devnull, os.O_RDONLY)]
    streams += [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666) for path in job['outputs']]
    for number in range(3):
        os.dup2(streams[min(number, len(streams) - 1)], number)
    for descriptor in streams:
        os.close(descriptor)


def run(arguments: list[str]) -> None:
    """Execute what `python arguments...` would: a module after -m, or a script."""
    if arguments[0] == '-m':
        sys.path[0] = os.getcwd()
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name='__main__', alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name='__main__')


def leave() -> NoReturn:
    """End this process with exit code 0, as the interpreter does: threads first, then what was registered."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def serve() -> list[str]:
    """Answer jobs until the input ends. Returns only in a fork, with the arguments that it has to run."""
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            become(job)
            return list(job['arguments'])
        signal.signal(signal.SIGALRM, lambda *_, child=child: os.kill(child, signal.SIGKILL))
        signal.alarm(job['seconds'])
        _, status = os.waitpid(child, 0)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        print(os.waitstatus_to_exitcode(status), flush=True)
    raise SystemExit


if __name__ == '__main__':
    for name in sys.argv[1:] or IMPORTED:
        importlib.import_module(name)
    # Frozen objects are not visited by the collector of a fork, which at its end would copy every page that holds some.
    gc.collect()
    gc.freeze()
    arguments = serve()
    try:
        run(arguments)
    except SystemExit as end:
        if end.code:
            raise
    leave()
