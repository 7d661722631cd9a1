"""Convert every options file below a folder, and plan each: what would a repository's files become?

    python scripts/convert_tree.py path/to/BasicSR/options/train converted/ [further arguments of `mg-basicsr convert`]

Prints a line per file, and for those that are refused the reason; the exit code is 1 if a converted file cannot be
planned, or a line of its block has no reason behind it.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mg_basicsr.cli.main import main as command

REASON = re.compile(r' # \S')  # a comment behind a key, or a line that is one


@dataclass(frozen=True)
class Outcome:
    """Result of one file.

    Attributes:
        source: The file.
        target: The converted file, which does not exist if it was refused.
        code: Exit code of `convert`.
        said: What `convert` printed.
        plan_code: Exit code of `plan` on the converted file.
        warnings: What `plan` printed on standard error.
        unexplained: Lines of the block without a comment.
    """

    source: Path
    target: Path
    code: int
    said: str
    plan_code: int = 0
    warnings: str = ''
    unexplained: tuple[str, ...] = ()


def convert_tree(source: Path, target: Path, arguments: Sequence[str] = ()) -> Iterator[Outcome]:
    """Convert every `.yml` file below a folder into the same place below another one, and plan it.

    Args:
        source: Folder of options files.
        target: Folder of the converted ones.
        arguments: Further arguments of `mg-basicsr convert`.
    """
    for file in sorted(source.rglob('*.yml')):
        output = target / file.relative_to(source)
        output.parent.mkdir(parents=True, exist_ok=True)
        code, out, err = _call('convert', '-opt', str(file), '-o', str(output), *arguments)
        if code:
            yield Outcome(file, output, code, err)
            continue
        plan_code, _, warnings = _call('plan', '-opt', str(output))
        block = output.read_text(encoding='utf-8').rpartition('\nmultigrid:\n')[2].splitlines()
        unexplained = tuple(line for line in block if line.strip() and not REASON.search(line))
        yield Outcome(file, output, 0, out, plan_code, warnings, unexplained)


def main() -> int:
    """Convert the folder that the first argument names into the second; return the exit code."""
    outcomes = list(convert_tree(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
    for outcome in outcomes:
        first = outcome.said.strip().splitlines()[0]
        print(f'{outcome.source}: {first if outcome.code else first.partition(": ")[2]}')
        for line in (*outcome.warnings.splitlines(), *outcome.unexplained):
            print(f'    {line}')
    wrong = [outcome for outcome in outcomes if outcome.plan_code or outcome.unexplained]
    refused = sum(bool(outcome.code) for outcome in outcomes)
    print(f'{len(outcomes) - refused} converted, {refused} refused, {len(wrong)} wrong')
    return int(bool(wrong))


def _call(*arguments: str) -> tuple[int, str, str]:
    """Run a command of mg-basicsr, which always exits, and return its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


if __name__ == '__main__':
    sys.exit(main())
