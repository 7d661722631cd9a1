"""What a training step costs: BasicSR's own, and the same model under a plan, with each option that may speed it up.

    python benchmarks/step.py                                       the demo's network on the CPU
    python benchmarks/step.py --device cuda --network basicvsr      also edvr-m, basicvsrpp
    python benchmarks/step.py --arms basicsr ours channels_last     only these; `compile` is measured when asked for

All arms take their steps in turns on the same batches, which are in memory: loading is benchmarks/loading's matter.
Prints tables and one line of JSON; writes benchmarks/results/step_cpu.json or step_gpu_<network>.json, and a picture.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import RESULTS, machine
from step_models import NETWORKS, OPTIONS, Arm, Shape, make_batch, peak_memory, planned_shapes

from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.host.run import activate

STEP = 0.1  # seconds: the step that the overhead is measured against
REPEATS = 2000
CLOCKS = {'wall': time.perf_counter, 'cpu': time.process_time}
clock = time.perf_counter


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--network', choices=NETWORKS, default='demo')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    arms = ('basicsr', 'ours', *OPTIONS)
    parser.add_argument(
        '--arms', nargs='+', choices=arms, default=['basicsr', 'ours', 'channels_last', 'fused_optimizer']
    )
    parser.add_argument('--rounds', type=int, default=9, help='turns of each arm on each shape')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads(), help='CPU threads of torch')
    parser.add_argument(
        '--clock', choices=CLOCKS, default='wall', help='cpu: processor time, where others use the machine'
    )
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    global clock
    clock = CLOCKS[arguments.clock]
    torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True  # as BasicSR's train.py has it

    names = list(dict.fromkeys(['basicsr', 'ours', *arguments.arms]))
    made = {name: Arm(name, arguments.network, arguments.device) for name in names}
    shapes = planned_shapes(made['ours'])
    batches = {shape: make_batch(arguments.network, shape, arguments.device) for shape in shapes}
    results: dict[str, Any] = {
        'steps': {label(shape): measure(made, batches[shape], arguments.rounds) for shape in shapes},
        'overhead_microseconds': overhead(made),
        'change_of_shape': change_of_shape(made['ours'], batches, arguments.rounds),
        'small_shapes': small_shapes(made['ours'], arguments.network, shapes, arguments.rounds),
    }
    results['overhead_share_of_100_ms'] = results['overhead_microseconds']['total'] / 1e6 / STEP
    show(results, names)
    versions = machine('torch', 'torchvision', 'numpy', 'basicsr')
    report = {
        'what': 'a training step',
        'network': arguments.network,
        'device': arguments.device,
        'clock': arguments.clock,
        **results,
        **versions,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = 'step_cpu' if arguments.device == 'cpu' else f'step_gpu_{arguments.network}'
    (arguments.output / f'{name}.json').write_text(json.dumps(report, indent=2) + '\n')
    plot(results, names, arguments.output / f'{name}.png')
    print(json.dumps(report))


def label(shape: Shape) -> str:
    """Clips x frames x GT size."""
    return 'x'.join(map(str, shape))


def seconds(action: Callable[[], object]) -> float:
    start = clock()
    action()
    return clock() - start


def measure(arms: dict[str, Arm], batch: dict[str, torch.Tensor], rounds: int) -> dict[str, dict[str, float | None]]:
    """Median seconds of a step of each arm, taken in turns, and its peak memory in MiB."""
    for arm in arms.values():
        arm.step(batch)
    times: dict[str, list[float]] = {name: [] for name in arms}
    for n in range(rounds):
        order = list(arms.items())[n % len(arms) :] + list(arms.items())[: n % len(arms)]
        for name, arm in order:
            times[name].append(seconds(lambda arm=arm: arm.step(batch)))
    return {
        name: {'seconds': median(times[name]), 'fastest': min(times[name]), 'peak_mib': peak_memory(arm, batch)}
        for name, arm in arms.items()
    }


def overhead(arms: dict[str, Arm]) -> dict[str, float]:
    """Microseconds that a plan adds to an iteration: shape and clips, seeds and rates, the log's fields.

    The sampler's share is counted although workers do it beside the step.
    """
    ours, theirs = arms['ours'], arms['basicsr']
    assert ours.run is not None
    sampler = MultigridSampler(ours.run.plan, 24_000)
    total = ours.run.plan.total_iter

    def each(action: Callable[[int], object]) -> float:
        return median(seconds(lambda i=i: action(1 + i * 37 % total)) for i in range(REPEATS)) * 1e6

    activate(ours.run)
    found = {
        'plan': each(lambda i: ours.run.plan(i - 1)),  # type: ignore[union-attr]
        'sampler, a rank of 3 or 4 clips': each(lambda i: sampler.requests(i - 1)),
        'update_learning_rate': each(ours.model.update_learning_rate),
        'get_current_log': each(lambda i: ours.model.get_current_log()),
    }
    activate(None)
    found["BasicSR's update_learning_rate"] = each(lambda i: theirs.model.update_learning_rate(2))
    return {**found, 'total': sum(list(found.values())[1:4]) - found["BasicSR's update_learning_rate"]}


def change_of_shape(arm: Arm, batches: dict[Shape, dict[str, torch.Tensor]], rounds: int) -> dict[str, Any]:
    """The first step after each change of shape against the steps after it, over the plan's stages in their order."""
    found: dict[str, dict[str, float]] = {}
    first: dict[Shape, list[float]] = {shape: [] for shape in batches}
    steady: dict[Shape, list[float]] = {shape: [] for shape in batches}
    for _ in range(max(1, rounds // 3)):
        for shape, batch in batches.items():
            first[shape].append(seconds(lambda batch=batch: arm.step(batch)))
            steady[shape] += [seconds(lambda batch=batch: arm.step(batch)) for _ in range(3)]
    for shape in batches:
        once, usual = median(first[shape]), median(steady[shape])
        found[label(shape)] = {'first': once, 'steady': usual, 'extra_steps': (once - usual) / usual}
    return found


def small_shapes(arm: Arm, network: str, shapes: list[Shape], rounds: int) -> dict[str, dict[str, float]]:
    """A clip's time relative to its share of the full clip's pixels: 1 is ideal; as planned, and with a batch that
    grows until it has the full shape's pixels (`batch_growth: inverse`).
    """
    clips, full_frames, full_size = shapes[-1]
    batches = {}
    for _, frames, size in shapes:
        grown = clips * full_frames * full_size**2 // (frames * size**2)
        for count in {clips, grown}:
            batches[count, frames, size] = make_batch(network, (count, frames, size), arm.device)
    times: dict[Shape, list[float]] = {shape: [] for shape in batches}
    for batch in batches.values():
        arm.step(batch)
    for _ in range(max(1, rounds // 2)):
        for shape, batch in batches.items():
            times[shape].append(seconds(lambda batch=batch: arm.step(batch)))

    def per_pixel(shape: Shape) -> float:
        return median(times[shape]) / (shape[0] * shape[1] * shape[2] ** 2)

    full = per_pixel(shapes[-1])
    found: dict[str, dict[str, float]] = {}
    for _, frames, size in shapes:
        same = [shape for shape in batches if shape[1:] == (frames, size)]
        ours, grown = min(same), max(same)
        relative = {'as_planned': per_pixel(ours) / full, 'grown': per_pixel(grown) / full}
        found[f'{frames}x{size}'] = {**relative, 'grown_clips': grown[0]}
    return found


def show(results: dict[str, Any], names: list[str]) -> None:
    """The tables."""
    print('\nclips x frames x GT: milliseconds per step (times faster than BasicSR), peak MiB')
    print(f'{"":>12}' + ''.join(f'{name:>26}' for name in names))
    for case, cells in results['steps'].items():
        base = cells['basicsr']['seconds']
        row = []
        for name in names:
            took, peak = cells[name]['seconds'], cells[name]['peak_mib']
            row.append(f'{took * 1e3:.1f} ({base / took:.2f}x) {"-" if peak is None else round(peak)}')
        print(f'{case:>12}' + ''.join(f'{cell:>26}' for cell in row))
    print('\nadded to an iteration, microseconds:')
    for name, value in results['overhead_microseconds'].items():
        print(f'{name:>36}  {value:9.1f}')
    print(f'{"share of a step of 100 ms":>36}  {results["overhead_share_of_100_ms"]:9.3%}')
    print('\nfirst step after a change of shape, in steady steps more:')
    print(
        '  ' + ', '.join(f'{case}: {value["extra_steps"]:+.2f}' for case, value in results['change_of_shape'].items())
    )
    print('\ntime of a clip relative to its share of the pixels, as planned and with a batch of equal pixels:')
    for case, value in results['small_shapes'].items():
        print(f'{case:>12}  {value["as_planned"]:.2f}   {value["grown"]:.2f} ({value["grown_clips"]} clips)')
    print()


def plot(results: dict[str, Any], names: list[str], path: Path) -> None:
    """Seconds per step of each arm, shape by shape."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4))
    width = 0.8 / len(names)
    for n, name in enumerate(names):
        heights = [cells[name]['seconds'] * 1e3 for cells in results['steps'].values()]
        axes.bar([k + n * width for k in range(len(heights))], heights, width, label=name)
    axes.set_xticks([k + 0.4 - width / 2 for k in range(len(results['steps']))], list(results['steps']), fontsize=8)
    axes.set(xlabel='clips x frames x GT size', ylabel='milliseconds per step')
    axes.legend(fontsize=8, frameon=False)
    axes.grid(axis='y', alpha=0.3, linewidth=0.5)
    figure.savefig(path, dpi=120, bbox_inches='tight')


if __name__ == '__main__':
    main()
