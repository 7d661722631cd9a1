"""`mg-basicsr convert`: a stock options file with the block at its end; everything else stays as it is, comments too."""

from __future__ import annotations

import argparse
from pathlib import Path

from mg_basicsr.config.build import resolve
from mg_basicsr.config.options_file import load_options
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.schedule.describe import describe

BLOCK = """
# the mini-batch's shape and the learning rate follow a plan: see `mg-basicsr plan -opt {name}`
multigrid:
  preset: {preset}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('-opt', '--opt', required=True, type=Path, help='a BasicSR options file')
    parser.add_argument('-o', '--output', required=True, type=Path, help='where the converted file is written')
    parser.add_argument('--preset', choices=['lin2022'], default='lin2022')


def run(arguments: argparse.Namespace) -> int:
    file = load_options(arguments.opt)
    if file.has_block:
        raise ConfigError(Problem(f'multigrid: {arguments.opt} has the block already', remedy='edit it there'))
    if arguments.output.exists():
        raise ConfigError(Problem(f'-o {arguments.output}: exists already', remedy='give another name'))
    # planned before anything is written: what cannot be planned is not converted
    settings = resolve(load_options(arguments.opt, [f'multigrid:preset={arguments.preset}']))
    block = BLOCK.format(name=arguments.output, preset=arguments.preset)
    text = arguments.opt.read_text(encoding='utf-8')
    arguments.output.write_text(text.rstrip('\n') + '\n' + block, encoding='utf-8')
    speedup = describe(settings.plan, settings.baseline)['ideal_speedup']
    print(f'wrote {arguments.output}: {len(settings.plan.stages)} stages, ideal speed-up {speedup:.2f}x')
    return 0
