"""Every line of shell in the README and in docs/start.md is a command that exists, with arguments that it takes."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mg_basicsr.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
BLOCKS = [
    block
    for name in ('README.md', 'docs/start.md')
    for block in re.findall(r'^```sh\n(.*?)^```', (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)
]


def commands() -> Iterator[list[str]]:
    for line in '\n'.join(BLOCKS).splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index('&&') if '&&' in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


def parse(name: str, arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    importlib.import_module(f'mg_basicsr.cli.{COMMANDS[name][0]}').add_arguments(parser)
    parser.parse_args(arguments)


@pytest.mark.parametrize('block', BLOCKS)
def test_it_is_shell(block: str) -> None:
    done = subprocess.run(['bash', '-n'], input=block, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('command', list(commands()), ids=' '.join)
def test_the_command_is_there(command: list[str]) -> None:
    program, *arguments = command
    if program == 'torchrun':
        arguments = arguments[arguments.index('mg_basicsr') + 1 :]
    if program in ('mg-basicsr', 'torchrun'):
        parse(arguments[0], arguments[1:])
    elif program == 'make':
        assert re.search(rf'^{arguments[0]}:', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    elif program == 'pip':
        assert arguments[0] == 'install'
        for wanted in arguments[1:]:
            assert wanted in ('.', '--no-build-isolation') or Requirement(wanted).name
    else:
        assert program in ('git', 'cd')


def test_there_are_commands() -> None:
    assert {'make', 'mg-basicsr', 'pip', 'git', 'torchrun'} <= {command[0] for command in commands()}


def test_the_first_screen_has_all_that_it_should() -> None:
    """Time and accuracy of the block in one sentence, one figure, and no figure of the list of many small steps."""
    screen = (ROOT / 'README.md').read_text().partition('## ')[0]
    sentence = screen.partition('<!-- headline')[2].partition('. That')[0]
    assert 'times less time' in sentence and re.search(r'ends [\d.]+ dB (below|above)', sentence)
    assert screen.count('![') == 1 and len(screen.splitlines()) <= 45
    assert '7.5' not in screen
