"""Tables, goals and the picture of the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OURS = ('store', 'store_numpy', 'compressed')
NO_PEER = (*OURS, 'copy')
PLOTTED = {
    'basicsr': "BasicSR's dataset",
    'folders': 'ours, folders',
    'store': 'ours, store',
    'store_flipped': 'store, flips too',
    'compressed': 'compressed store',
}


def show(results: dict[str, Any], labels: dict[str, str]) -> None:
    """One table per job: cases in columns."""
    for name, cases in results.items():
        if name == 'about':
            cases = {key: {way: about[key] for way, about in cases.items()} for key in next(iter(cases.values()))}
        print(f'\n{name.replace("_", ", ")}')
        print(f'{"":28}' + ''.join(f'{case:>17}' for case in cases))
        for way in next(iter(cases.values())):
            row = (values.get(way) for values in cases.values())
            cells = ''.join(f'{"" if value is None else format(value, ".3f"):>17}' for value in row)
            print(f'{labels.get(way, PLOTTED.get(way, way)):28}{cells}')
    print()


def goals(results: dict[str, Any]) -> dict[str, Any]:
    """The store against the best peer of each column; a ratio above 1 says that the store is faster."""
    found: dict[str, Any] = {}
    for job in ('warm', 'cold', 'tight_median', 'tight_mean'):
        for case, values in results.get(job, {}).items():
            peers = {way: value for way, value in values.items() if way not in NO_PEER}
            if peers and 'store' in values:
                best = min(peers, key=lambda way: peers[way])
                ratio = round(peers[best] / values['store'], 2)
                found[f'{job} {case}'] = {'best peer': best, 'times faster than it': ratio}
    full = results.get('warm', {}).get('256x15', {})
    if 'copy' in full and 'store' in full:
        found['warm 256x15 to plain copy'] = round(full['store'] / full['copy'], 2)
    if 'compressed' in full:
        found['compressed 256x15 milliseconds'] = round(full['compressed'], 2)
        about = results['about']
        if 'png' in about:
            found['compressed disk to PNG'] = round(about['compressed']['megabytes'] / about['png']['megabytes'], 3)
    return found


def plot(results: dict[str, Any], path: Path) -> None:
    """Cost against pixels of whole samples: warm for all cases, cold for those that were measured."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 5))
    colours = dict(zip(PLOTTED, ('#888888', '#d95f02', '#1b6ca8', '#66a5d4', '#7570b3'), strict=True))
    for way, label in PLOTTED.items():
        for state, style, name in (('set_warm', 'o-', label), ('set_cold', 'x:', f'{label}, cold cache')):
            cases = [(case, *map(int, case.split('x'))) for case in results[state]]
            for frames in sorted({frames for *_, frames in cases}):  # one line for each number of frames
                points = [
                    (frames * size**2 / 1e6, results[state][case].get(way)) for case, size, n in cases if n == frames
                ]
                if points and points[0][1]:
                    axes.plot(*zip(*points, strict=True), style, color=colours[way], label=name, ms=4.5, lw=1.2)
                    name = None
    axes.set(xscale='log', yscale='log', ylabel='milliseconds per sample')
    axes.set(xlabel='GT pixels of a sample (frames x edge x edge), millions')
    axes.set_title('What a sample costs: clips of 5, 15 and 30 frames, GT 64 to 256')
    axes.grid(alpha=0.3, which='both', linewidth=0.5)
    axes.legend(fontsize=8, ncol=2, frameon=False, loc='upper center', bbox_to_anchor=(0.5, -0.14))
    figure.savefig(path, dpi=150, bbox_inches='tight')
