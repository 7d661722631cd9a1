"""Search path of modules: the same for `mg-basicsr`, `python -m mg_basicsr` and `torchrun ... -m mg_basicsr`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def unify_search_path() -> None:
    """Take the folder that Python has put first off sys.path, and add the working directory at its end.

    With `-m` that folder is the working directory, else the one of the executable. At the end, a `basicsr/` in the
    working directory is found where none is installed, which is what `python basicsr/train.py` does as well: it
    imports the installed one. `PYTHONPATH=.` puts the working directory first, in all ways.
    """
    try:
        here = os.getcwd()
    except OSError:  # it has been deleted
        return
    started_from = {os.path.realpath(here), os.path.dirname(os.path.realpath(sys.argv[0]))}
    if not getattr(sys.flags, 'safe_path', False) and os.path.realpath(sys.path[0]) in started_from:
        del sys.path[0]
    if here not in sys.path:
        sys.path.append(here)


def put_first(script: Path) -> None:
    """Put the folder of a script first on sys.path, as Python does for the script that it runs.

    Args:
        script: Path of the script.
    """
    folder = str(script.resolve().parent)
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
