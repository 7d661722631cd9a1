"""Number of GPUs that an options file was made for: BasicSR's files have it in a comment, in a value, or in a name."""

from __future__ import annotations

import re
from typing import NamedTuple

from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.parsing.plain_files import read_plain_file

COMMENT = re.compile(r'official\w*\s*:?\s*(\d+)\s*(?:x\s*)?(?:\w+\s+)?GPUs?\b', re.IGNORECASE)  # `# official: 8 GPUs`
IN_NAME = re.compile(r'(?:^|[_-])(\d+)x?gpus?(?:[_-]|$)', re.IGNORECASE)  # `..._8gpus`
NAMED = re.compile(r'(?:^|[_-])B(\d+)G(\d+)(?:[_-]|$)')  # `..._B4G8_...`: 4 clips on each of 8 GPUs, or 4 in all
MOST_GPUS = 4096


class OfficialGpus(NamedTuple):
    """Number of GPUs, and where the file has it.

    Attributes:
        gpus: The number.
        where: Place in the file, in words.
    """

    gpus: int
    where: str


def official_gpus(file: OptionsFile) -> OfficialGpus | None:
    """Return the number of GPUs that a file's rate and iterations were made for; None if it does not say.

    In this order: a comment such as `# official: 8 GPUs`, an integer `num_gpu`, and the part `8gpus` or `B4G8` of the
    name, which in BasicSR's experiments is the clips of each GPU and the number of GPUs. Comments that contradict each
    other are ignored.
    """
    return _from_comments(file) or _from_num_gpu(file) or _from_name(file)


def _from_comments(file: OptionsFile) -> OfficialGpus | None:
    try:
        lines = read_plain_file(file.path).decode('utf-8-sig').splitlines()
    except (OSError, ValueError):  # options that were made by a program have no file
        return None
    found = [
        OfficialGpus(int(match[1]), f'"{match[0]}" in line {number}')
        for number, line in enumerate(lines, 1)
        if (match := COMMENT.search(line.partition('#')[2]))
    ]
    found = [each for each in found if 0 < each.gpus <= MOST_GPUS]
    return found[0] if len({each.gpus for each in found}) == 1 else None


def _from_num_gpu(file: OptionsFile) -> OfficialGpus | None:
    value = file.options.get('num_gpu')
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST_GPUS:
        return None
    return OfficialGpus(value, f'num_gpu: {value}')


def _from_name(file: OptionsFile) -> OfficialGpus | None:
    """Read `8gpus`; or `B4G8`, if 4 is the file's batch size per GPU, or that of all GPUs together."""
    name, datasets = file.options.get('name'), file.options.get('datasets')
    if isinstance(name, str) and (named := IN_NAME.search(name)) and 0 < int(named[1]) <= MOST_GPUS:
        return OfficialGpus(int(named[1]), f'{named[0].strip("_-")} in name')
    train_set = datasets.get('train') if isinstance(datasets, dict) else None
    per_gpu = train_set.get('batch_size_per_gpu') if isinstance(train_set, dict) else None
    match = NAMED.search(name) if isinstance(name, str) else None
    if match is None or not isinstance(per_gpu, int):
        return None
    batch, gpus = int(match[1]), int(match[2])
    if not 0 < gpus <= MOST_GPUS or batch not in (per_gpu, per_gpu * gpus):
        return None
    return OfficialGpus(gpus, f'{match[0].strip("_-")} in name')
