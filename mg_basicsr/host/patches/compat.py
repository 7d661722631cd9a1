"""Shims for BasicSR and its copies, to run on current libraries, without a GPU, and on small LQ frames.

Each shim is dated, and names its reason and the condition under which it can be removed. All work in place, on the
released BasicSR 1.4.2, its git head, and older copies that a repository carries itself. If such a copy lacks a
function, usually the fault is absent too, and nothing is done; if the fault is likely to be elsewhere, the missing
effect is recorded. A shim for machines without a GPU looks for one when it is called, not when it is installed, so that
installing does not initialise CUDA and a machine with a GPU runs the host's own code.

`SHIMS` maps a module's name to the function to call with that module once it has been imported. Calling it again
changes nothing. This module imports neither torch nor basicsr by itself.
"""

from __future__ import annotations

import functools
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from mg_basicsr.host.patches import loggers
from mg_basicsr.patching import Function, wrap

Shim = Callable[[ModuleType], None]


def has_gpu() -> bool:
    """Return whether CUDA can be used here."""
    import torch

    return torch.cuda.is_available()


def or_without_gpu(original: Function, substitute: Function) -> Function:
    """Return a function that falls back to a substitute on machines without a GPU.

    Args:
        original: Function to call.
        substitute: Function to call with the same arguments if the original fails and there is no GPU.
    """

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except (AssertionError, AttributeError, RuntimeError):  # depends on how torch was built
            if has_gpu():
                raise
            return substitute(*args, **kwargs)

    return call


# Without a GPU

WITHOUT_GPU = 'on a machine without a GPU'


def current_device(torch: ModuleType) -> None:
    """Let `torch.cuda.current_device` return 0 and `torch.cuda.set_device` do nothing without a GPU.

    2026-11. Resuming and wrapping in DistributedDataParallel call the first, and scripts the second, on every machine.
    Done in torch, since many repositories have copies of these lines in their scripts. Can be removed when BasicSR and
    those scripts ask for a device only if there is one.
    """
    wrap(torch, 'cuda.current_device', _device_zero, f'0 {WITHOUT_GPU}')
    wrap(torch, 'cuda.set_device', _set_no_device, f'does nothing {WITHOUT_GPU}')


def _device_zero(original: Function) -> Function:
    return or_without_gpu(original, lambda: 0)


def _set_no_device(original: Function) -> Function:
    return or_without_gpu(original, lambda device: None)


def load_to_cpu(torch: ModuleType) -> None:
    """Let `torch.load` keep storages in main memory without a GPU, if `map_location` would move them to one.

    2026-11. `load_resume_state`, in BasicSR and in scripts, moves each storage with `storage.cuda(device)`. Everything
    else about `torch.load`, above all `weights_only`, is unchanged. Can be removed together with `current_device`.
    """
    wrap(torch, 'load', _load_to_cpu, f'storages stay in main memory {WITHOUT_GPU}')


def _load_to_cpu(original: Function) -> Function:
    def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        if callable(map_location):
            map_location = or_without_gpu(map_location, lambda storage, location: storage)
        return original(f, map_location, *args, **kwargs)

    return load


def ddp_without_device(torch: ModuleType) -> None:
    """Drop the device numbers that DistributedDataParallel gets without a GPU.

    2026-11. `BaseModel.model_to_device` passes `device_ids=[current_device()]`, and DistributedDataParallel refuses
    device numbers for networks in main memory. Done in torch: repositories override `model_to_device`. Can be removed
    when BasicSR passes device numbers only with CUDA.
    """
    reason = f'takes no device numbers {WITHOUT_GPU}'
    wrap(torch, 'nn.parallel.DistributedDataParallel.__init__', _without_device_ids, reason)


def _without_device_ids(original: Function) -> Function:
    def init(
        self: Any, module: Any, device_ids: Any = None, output_device: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        if not has_gpu():
            device_ids = output_device = None
        original(self, module, device_ids, output_device, *args, **kwargs)

    return init


def gloo_without_gpu(dist_util: ModuleType) -> None:
    """Start the process group with gloo without a GPU.

    2026-11. BasicSR's `_init_dist_pytorch` and `_init_dist_slurm` take the rank modulo the number of GPUs, which
    divides by 0 without one, and need NCCL. Can be removed when BasicSR uses gloo if CUDA is missing.
    """
    reason = f'ranks meet through gloo {WITHOUT_GPU}'
    for name, make in (('_init_dist_pytorch', _gloo_by_torchrun), ('_init_dist_slurm', _gloo_by_slurm)):
        wrap(dist_util, name, make, reason, lost=f'ranks that it would start cannot meet {WITHOUT_GPU}')


def _join_on_cpu(backend: str, **kwargs: Any) -> None:
    import torch

    torch.distributed.init_process_group('gloo' if backend == 'nccl' else backend, **kwargs)


def _gloo_by_torchrun(original: Function) -> Function:
    def init(backend: str, **kwargs: Any) -> None:
        (original if has_gpu() else _join_on_cpu)(backend, **kwargs)

    return init


def _gloo_by_slurm(original: Function) -> Function:
    def init(backend: str, port: int | None = None) -> None:
        if has_gpu():
            original(backend, port)
            return
        nodes = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
        hosts = subprocess.run(nodes, check=True, capture_output=True, text=True).stdout.split()
        os.environ.update(
            MASTER_ADDR=hosts[0],
            MASTER_PORT=str(port or os.environ.get('MASTER_PORT', 29500)),  # 29500: the default of torch and BasicSR
            WORLD_SIZE=os.environ['SLURM_NTASKS'],
            RANK=os.environ['SLURM_PROCID'],
            LOCAL_RANK=os.environ.get('SLURM_LOCALID', '0'),
        )
        _join_on_cpu(backend)

    return init


def validate_on_cpu(base_model: ModuleType) -> None:
    """Let `BaseModel.validation` work for a model on the CPU.

    2026-11. Validation of video models assumes a GPU twice: the table of metrics is made with `device='cuda'`, and the
    frames of a clip are squeezed in place after the copy to the device, which for the CPU is the same tensor. Can be
    removed when BasicSR makes the table on `self.device` and does not change the frames in place.
    """
    wrap(base_model, 'BaseModel.validation', _validate_on_cpu, 'metrics and frames of a model on the CPU stay there')


def _validate_on_cpu(original: Function) -> Function:
    def validation(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _cpu_as_device() if str(self.device) == 'cpu' else nullcontext():
            return original(self, *args, **kwargs)

    return validation


def _cpu_as_device() -> AbstractContextManager[Any]:
    import torch
    from torch.overrides import TorchFunctionMode

    class CpuAsDevice(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = dict(kwargs or {})
            if func == torch.Tensor.cuda:
                func, args, kwargs = torch.Tensor.to, (args[0], 'cpu'), {}
            elif str(kwargs.get('device')).startswith('cuda'):
                kwargs['device'] = 'cpu'
            result = func(*args, **kwargs)
            if func == torch.Tensor.to and result is args[0] and not isinstance(result, torch.nn.Parameter):
                return result.view_as(result)  # another tensor on the same memory: its shape can change separately
            return result

    return CpuAsDevice()


def prefetch_on_cpu(prefetch_dataloader: ModuleType) -> None:
    """Let `CUDAPrefetcher` work as `CPUPrefetcher` without a GPU, so that an options file written for a GPU runs.

    2026-11. `prefetch_mode: cuda` makes a CUDA stream. Can be removed when BasicSR's CUDAPrefetcher works without CUDA.
    """
    on_cpu = getattr(prefetch_dataloader, 'CPUPrefetcher', None)
    if on_cpu is None:
        return
    start, advance, restart = on_cpu.__init__, on_cpu.next, on_cpu.reset

    def prefetch_start(original: Function) -> Function:
        return lambda self, loader, opt: original(self, loader, opt) if has_gpu() else start(self, loader)

    def prefetch_next(original: Function) -> Function:
        return lambda self: original(self) if has_gpu() else advance(self)

    def prefetch_restart(original: Function) -> Function:
        return lambda self: original(self) if has_gpu() else restart(self)

    for name, make in (('__init__', prefetch_start), ('next', prefetch_next), ('reset', prefetch_restart)):
        wrap(prefetch_dataloader, f'CUDAPrefetcher.{name}', make, f'works as CPUPrefetcher {WITHOUT_GPU}')


# The command line

LAUNCHER_FLAG = '--local-rank'


def local_rank(options: ModuleType) -> None:
    """Spell the launcher's `--local-rank` as BasicSR's parser knows it.

    2026-11. `torch.distributed.launch`, which BasicSR's scripts/dist_train.sh uses, passes `--local-rank` from torch
    2.0 on. Can be removed when BasicSR's parser takes it.
    """
    for index, argument in enumerate(sys.argv):
        if argument == LAUNCHER_FLAG or argument.startswith(f'{LAUNCHER_FLAG}='):
            sys.argv[index] = argument.replace('-rank', '_rank', 1)


# Resuming


def resume_where_saved(train: ModuleType) -> None:
    """Let `--auto_resume` search `path.training_states`, the folder that states are written to.

    2026-11. BasicSR searches `experiments/<name>/training_states` below the working directory, while states are written
    below the root that the script names, or below `path.experiments_root`. Can be removed when BasicSR's
    `load_resume_state` reads `opt['path']['training_states']`.
    """
    reason = '--auto_resume looks where states are written'
    lost = '--auto_resume looks where this repository does, which may not be where states are written'
    wrap(train, 'load_resume_state', _resume_where_saved, reason, lost=lost)


def _resume_where_saved(original: Function) -> Function:
    def load_resume_state(opt: dict[str, Any]) -> Any:
        folder = opt['path'].get('training_states')
        if not opt.get('auto_resume') or folder is None:
            return original(opt)
        newest = newest_state(Path(folder))
        if newest is None:
            return None
        opt['path']['resume_state'] = str(newest)
        opt['auto_resume'] = False  # the original would search again, and overwrite resume_state
        try:
            return original(opt)
        finally:
            opt['auto_resume'] = True

    return load_resume_state


def newest_state(folder: Path) -> Path | None:
    """Return the training state of the highest iteration, `<iteration>.state`, in `folder`; None without any."""
    states = [path for path in folder.glob('*.state') if path.stem.isdecimal()]
    return max(states, key=lambda path: int(path.stem), default=None)


# Networks


def networks_of_model(base_model: ModuleType) -> None:
    """Apply `fix_network_classes` to the classes of every network that a model moves to its device, or trains.

    2026-11. Repositories copy SPyNet and BasicVSR++ into files of any name, and override `model_to_device`; none
    overrides `setup_schedulers`. Can be removed with `fix_network_classes`.
    """
    reason = 'copies of SPyNet and BasicVSR++ in other files get their shims'
    lost = 'copies of SPyNet and BasicVSR++ in other files than those of BasicSR get no shims'
    wrap(base_model, 'BaseModel.model_to_device', _fix_network, reason, lost=lost)
    wrap(base_model, 'BaseModel.setup_schedulers', _fix_networks, reason, lost=lost)


def _fix_network(original: Function) -> Function:
    def model_to_device(self: Any, net: Any) -> Any:
        fix_network_classes({type(module) for module in net.modules()})
        return original(self, net)

    return model_to_device


def _fix_networks(original: Function) -> Function:
    def setup_schedulers(self: Any) -> Any:
        from mg_basicsr.training.host_model import held_modules

        fix_network_classes({type(module) for network in held_modules(self) for module in network.modules()})
        return original(self)

    return setup_schedulers


def networks_of_module(arch: ModuleType) -> None:
    """Apply `fix_network_classes` to the classes in BasicSR's own files, for networks that no model holds.

    2026-11. Can be removed with `fix_network_classes`.
    """
    fix_network_classes(found for found in vars(arch).values() if isinstance(found, type))


def fix_network_classes(classes: Iterable[type]) -> None:
    """Fix two faults of SPyNet and BasicVSR++ that appear when shapes change, and networks that wait for the device.

    2026-11. SPyNet fails for LQ frames of 32 pixels or less (see `spynet.py`); can be removed when BasicSR's SPyNet
    starts from a zero flow of the coarsest level's size. BasicVSR++ sets `is_mirror_extended` at the first clip that
    mirrors itself and keeps it set for all later ones; can be removed when it decides for each clip. Waiting is in
    `kept_ranges.py` and `late_warnings.py`.
    """
    from . import kept_ranges, late_warnings

    for cls in classes:
        kept_ranges.keep_ranges(cls)
        late_warnings.warn_later(cls)
        if hasattr(cls, 'preprocess'):
            wrap(cls, 'process', _process_any_size, 'flow of LQ frames of 32 pixels or less')
        wrap(cls, 'check_if_mirror_extended', _mirror_by_clip, 'decides for each clip')


def _process_any_size(original: Function) -> Function:
    # The host's own warp, so that small frames are treated like large ones.
    warp = getattr(inspect.unwrap(original), '__globals__', {}).get('flow_warp')

    def process(self: Any, ref: Any, supp: Any, *args: Any, **kwargs: Any) -> Any:
        from . import spynet

        is_known = not args and not kwargs and hasattr(self, 'basic_module')
        if warp is not None and is_known and spynet.is_too_small(self, ref):
            return spynet.coarse_to_fine(self, ref, supp, warp)
        return original(self, ref, supp, *args, **kwargs)

    return process


def _mirror_by_clip(original: Function) -> Function:
    def check_if_mirror_extended(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.is_mirror_extended = False
        return original(self, *args, **kwargs)

    return check_if_mirror_extended


def _all(*shims: Shim) -> Shim:
    def apply(module: ModuleType) -> None:
        for shim in shims:
            shim(module)

    return apply


SHIMS: dict[str, Shim] = {
    'torch': _all(current_device, load_to_cpu, ddp_without_device),
    'wandb.util': loggers.wandb_id,
    'basicsr.train': resume_where_saved,
    'basicsr.utils.dist_util': gloo_without_gpu,
    'basicsr.utils.options': local_rank,
    'basicsr.data.prefetch_dataloader': prefetch_on_cpu,
    'basicsr.models.base_model': _all(validate_on_cpu, networks_of_model),
    'basicsr.archs.spynet_arch': networks_of_module,
    'basicsr.archs.basicvsrpp_arch': networks_of_module,
    'basicsr.models.archs.spynet_arch': networks_of_module,  # BasicSR up to 1.2
}


def apply(module: ModuleType) -> None:
    """Apply the shims of a module that has been imported."""
    SHIMS[module.__name__](module)
