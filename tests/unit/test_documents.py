"""What documents name exists: paths, links, modules, commands, flags. The README's plan and figures are real."""

from __future__ import annotations

import argparse
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.cli.main import COMMANDS, main
from tests.unit.test_contributing import missing

ROOT = Path(__file__).parents[2]
README = (ROOT / 'README.md').read_text()
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ('', 'docs/', 'options/', 'examples/own_preset/', '.github/')
    for path in (ROOT / folder).glob('*.md')
)
COMMAND = re.compile(r'(?<!")(?:mg-basicsr|-m mg_basicsr) (?!COMMAND)([a-z]+)\b([^`\n|]*)')
FLAG = re.compile(r'(?<![\w-])--?[a-z][\w-]*')
OF_BASICSR = re.compile(r'scripts/(download_pretrained_models\.py|dist_train\.sh)|basicsr/train\.py')

OF_REPOSITORIES = re.compile('<!-- repositories: begin -->.*<!-- repositories: end -->', re.DOTALL)


def flags_of(command: str) -> set[str]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    importlib.import_module(f'mg_basicsr.cli.{COMMANDS[command][0]}').add_arguments(parser)
    return {flag for action in parser._actions for flag in action.option_strings}


def wrong_commands(text: str) -> list[str]:
    """Commands that there are not, and flags that they do not have."""
    found = []
    for command, arguments in COMMAND.findall(text):
        used = set(FLAG.findall(re.split(r'  +|[#(;:]', arguments)[0]))
        if command not in COMMANDS:
            found.append(command)
        elif command != 'run':  # which leaves all but its own to the script
            found += [f'{command} {flag}' for flag in sorted(used - flags_of(command))]
    return found


@pytest.mark.parametrize('name', DOCUMENTS)
def test_what_a_document_names_is_there(name: str) -> None:
    text = OF_REPOSITORIES.sub('', OF_BASICSR.sub('', (ROOT / name).read_text()))
    assert missing(text, (ROOT / name).parent) == []
    assert wrong_commands(text) == []


def test_wrong_commands_are_found() -> None:
    text = 'run `mg-basicsr plan -opt X.yml --world-sise 8`, `mg-basicsr remake A`, `mg-basicsr run x.py --anything`'
    assert wrong_commands(text) == ['plan --world-sise', 'remake']


def test_the_printed_plan_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.search(r'\$ mg-basicsr (.+)\n([^`]*)```', README)
    assert shown
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit):
        main(shown[1].split())
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == shown[2].splitlines()


def record(name: str) -> Any:
    return json.loads((ROOT / 'benchmarks/results' / name).read_text())


def test_claims_of_the_readme_are_in_the_records() -> None:
    arms = record('training_first.json')['arms']
    block, stock = arms['curriculum + store'], arms['stock']
    assert f'takes {int(stock["seconds"] / block["seconds"] * 10) / 10} times less time' in README
    assert f'ends {-block["psnr_difference"]:.2f} dB below it' in README
    assert f'± {block["psnr_standard_error"]:.3f}' in README
    rates = record('delivery.json')['medians']
    full = '256x15, 1 workers'
    assert f'{rates[f"{full}: ring"]:.0f} full-size samples per second' in README
    assert f'{rates[f"{full}: stock"]:.1f}, pixel for pixel' in README.replace('\n  ', ' ')
