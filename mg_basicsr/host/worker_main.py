"""The main module of workers that are spawned under `mg-basicsr run`: the script, imported after this package."""

import runpy
import sys

globals().update(runpy.run_path(sys.argv[0], run_name='__mp_main__'))
