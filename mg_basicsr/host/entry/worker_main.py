"""Main module of workers that are spawned under `mg-basicsr run`: the script, imported after this package."""

import os
import runpy

from mg_basicsr.host.entry.script import SCRIPT

globals().update(runpy.run_path(os.environ[SCRIPT], run_name='__mp_main__'))
