"""Draws docs/architecture.png: the package's folders as rooms on floors, and which floor imports which.

    python scripts/draw_architecture.py docs/architecture.png

Rooms, what is in them, and arrows come from the tree and from its import statements; floors come from the table of
layers in tests/unit/test_layers.py. Arrows that follow from others are left out, and those to the ground floor, which
every room may use. Numbers are those of files.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.unit.test_layers import FILES, GROUND, MAY_IMPORT, PACKAGE, layer_of, module_name, modules_imported  # noqa: E402

WIDTH, MARGIN, GAP, FLOOR_GAP = 9.0, 0.15, 0.2, 0.42  # inches
TITLE, LINE, BOX = 0.26, 0.17, 0.24  # heights of a room's parts
LEFT = {'train_set'}  # alone on a floor and not in its middle, so that arrows do not pass behind it
PART_OF = {'__main__': 'cli', '_version': 'errors'}  # drawn inside another room
WEIGHTS = {'host': 3.0, 'data': 2.4, 'config': 1.5, 'training': 1.7, 'report': 1.1, 'cli': 1.6, 'package': 1.2}
ROLES = {  # in the order of rooms on a floor
    'cli': 'mg-basicsr COMMAND, a module for each',
    'package': 'import mg_basicsr: hooks, public names',
    'host': 'attaches all of it to BasicSR; the only folder that imports basicsr',
    'demo': 'a whole run on clips that are made',
    'config': 'the block, and the presets that plan it; no torch',
    'data': 'from (seed, position) to pixels',
    'training': "what changes a step, for models like BasicSR's",
    'report': 'figures and logs',
    'train_set': 'one reader of datasets.train',
    'parsing': 'values, problems, options file',
    'dataset_types': 'table of types and degradations',
    'schedule': 'Plan(i) -> Step; plain Python',
    'errors': 'Problem; exit code 2',
    'atomic_files': 'a file is whole or absent',
    'patching': 'wrap, list, undo',
}
COLOURS = ('#e8edf2', '#e3efe6', '#e6eef7', '#f7efdc', '#efe7f5', '#f9e9e4', '#eeeeee')
INK, ARROW = '#222222', '#7a8794'


class Room(NamedTuple):
    """A rectangle in inches, its origin at the lower left."""

    left: float
    bottom: float
    width: float
    height: float


def room_of(module: str) -> str:
    """Return the room that a module is drawn in."""
    layer = layer_of(module)
    return PART_OF.get(layer, layer)


def floors() -> list[list[str]]:
    """Return rooms by floor, the ground first: each is above all that it may import."""
    level = dict.fromkeys(GROUND, 0)

    def of(name: str) -> int:
        if name not in level:
            level[name] = 1 + max(map(of, MAY_IMPORT[name]), default=0)
        return level[name]

    found: dict[int, list[str]] = {}
    for name in MAY_IMPORT:
        if name not in PART_OF:
            found.setdefault(of(name), []).append(name)
    return [sorted(found[number], key=list(ROLES).index) for number in sorted(found)]


def arrows() -> list[tuple[str, str]]:
    """Return which room imports which, without the ground floor and what follows from others."""
    sources = {module_name(path): path for path in FILES}
    imports: dict[str, set[str]] = {room_of(name): set() for name in sources}
    for name, path in sources.items():
        targets = modules_imported(path.read_text(), name, set(sources), path.name == '__init__.py')
        imports[room_of(name)] |= {room_of(target) for target in targets} - {room_of(name), *GROUND}

    def reached(room: str) -> set[str]:
        return imports[room].union(*(reached(other) for other in imports[room]))

    return [
        (room, target)
        for room, targets in sorted(imports.items())
        for target in sorted(targets)
        if not any(target in reached(other) for other in targets)
    ]


def contents(room: str) -> list[str]:
    """Return the folders inside a room, each with its number of files."""
    counted = Counter(
        '/'.join(path.relative_to(PACKAGE).parts[1:-1])
        for path in FILES
        if path.relative_to(PACKAGE).parts[0] == room and path.name != '__init__.py'
    )
    return [f'{name}/ {count}' for name, count in sorted(counted.items()) if name]


def title(room: str) -> str:
    """Return the name of a room: a folder with its own number of files, or a file."""
    if room == 'package':
        return '__init__.py'
    if not (PACKAGE / room).is_dir():
        return f'{room}.py'
    own = len([path for path in (PACKAGE / room).glob('*.py') if path.name != '__init__.py'])
    return f'{room}/ {own}' if own else f'{room}/'


def draw_floor(axes: Axes, names: list[str], bottom: float, colour: str) -> dict[str, Room]:
    """Draw the rooms of a floor side by side; returns their places."""
    space = WIDTH - 2 * MARGIN - GAP * (len(names) - 1)
    weights = [WEIGHTS.get(name, 1.0) for name in names]
    widths = [space * weight / sum(weights) for weight in weights]
    if len(names) == 1 and names[0] not in WEIGHTS:
        widths = [space * 0.3]
    texts = [wrap(ROLES.get(name, ''), int(width * 13.5)) for name, width in zip(names, widths, strict=True)]
    columns = [max(1, int(width / 1.25)) for width in widths]
    rows = [-(-len(contents(name)) // count) for name, count in zip(names, columns, strict=True)]
    height = max(TITLE + LINE * len(text) + BOX * count + 0.1 for text, count in zip(texts, rows, strict=True))
    in_the_middle = len(names) == 1 and names[0] not in LEFT | WEIGHTS.keys()
    places, left = {}, (WIDTH - widths[0]) / 2 if in_the_middle else MARGIN
    for name, width, text, count in zip(names, widths, texts, columns, strict=True):
        room = places[name] = Room(left, bottom, width, height)
        draw_room(axes, room, title(name), text, contents(name), count, colour)
        left += width + GAP
    return places


def draw_room(axes: Axes, room: Room, name: str, text: list[str], inside: list[str], columns: int, colour: str) -> None:
    """Draw a room with its name, its role, and its folders in a grid."""
    box = FancyBboxPatch(
        room[:2], room.width, room.height, boxstyle='round,pad=0,rounding_size=0.05', fc=colour, ec=INK, lw=0.9
    )
    axes.add_patch(box)
    y = room.bottom + room.height - 0.17
    axes.text(room.left + 0.09, y, name, fontsize=10.5, weight='bold', color=INK, va='center')
    for line in text:
        y -= LINE
        axes.text(room.left + 0.09, y, line, fontsize=8.6, color=INK, va='center')
    for n, entry in enumerate(inside):
        row, column = divmod(n, columns)
        width = (room.width - 0.12) / columns
        x, low = room.left + 0.08 + column * width, y - 0.16 - BOX * (row + 1) + 0.06
        axes.add_patch(
            FancyBboxPatch((x, low), width - 0.06, 0.19, boxstyle='square,pad=0', fc='white', ec='#999', lw=0.6)
        )
        axes.text(x + 0.05, low + 0.095, entry, fontsize=8.6, color=INK, va='center')


def draw_arrows(axes: Axes, places: dict[str, Room], pairs: list[tuple[str, str]]) -> None:
    """Draw each arrow from the lower edge of a room to the upper edge of another, behind all rooms."""
    for start, end in pairs:
        above, below = places[start], places[end]
        outgoing = sorted((places[b].left + places[b].width / 2, b) for a, b in pairs if a == start)
        incoming = sorted((places[a].left + places[a].width / 2, a) for a, b in pairs if b == end)
        x1 = above.left + above.width * ([b for _, b in outgoing].index(end) + 1) / (len(outgoing) + 1)
        x2 = below.left + below.width * ([a for _, a in incoming].index(start) + 1) / (len(incoming) + 1)
        axes.add_patch(
            FancyArrowPatch(
                (x1, above.bottom), (x2, below.bottom + below.height), arrowstyle='-|>', mutation_scale=9,
                shrinkA=0, shrinkB=0, lw=1.1, color=ARROW, zorder=0.5,
            )
        )  # fmt: skip


def main(path: str) -> None:
    """Draw the picture to a path."""
    figure, axes = plt.subplots(figsize=(WIDTH, 1))
    bottom, places = MARGIN, dict[str, Room]()
    for number, names in enumerate(floors()):
        if number == 1:
            note = (
                'the ground floor: any room may use it. Elsewhere imports follow the arrows, or jump floors downwards.'
            )
            axes.text(WIDTH / 2, bottom - FLOOR_GAP / 2, note, fontsize=8.6, color=INK, ha='center', va='center')
        placed = draw_floor(axes, names, bottom, COLOURS[number % len(COLOURS)])
        places |= placed
        bottom += max(room.height for room in placed.values()) + FLOOR_GAP
    draw_arrows(axes, places, arrows())
    height = bottom - FLOOR_GAP + MARGIN
    figure.set_size_inches(WIDTH, height)
    axes.set(xlim=(0, WIDTH), ylim=(0, height), position=(0, 0, 1, 1))
    axes.axis('off')
    figure.savefig(path, dpi=200, metadata={'Software': None})


if __name__ == '__main__':
    main(sys.argv[1])
