"""The shims on stand-ins for the host's modules: that each does its work, once, and only where its reason holds.

`test_spynet.py` has those of SPyNet; `tests/integration/test_compat.py` runs all on BasicSR itself.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_basicsr.host.patches import compat


def no_gpu(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError('Found no NVIDIA driver on your system.')


@pytest.fixture(params=[True, False], ids=['gpu', 'no gpu'])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(compat, 'has_gpu', lambda: request.param)
    return request.param


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, 'has_gpu', lambda: False)


def test_or_without_gpu(gpu: bool) -> None:
    assert compat.or_without_gpu(lambda x: x + 1, no_gpu)(1) == 2
    device = compat.or_without_gpu(no_gpu, lambda: 0)
    if gpu:
        with pytest.raises(RuntimeError, match='NVIDIA'):
            device()
    else:
        assert device() == 0


@pytest.mark.parametrize('name', [name for name in compat.SHIMS if name.startswith('basicsr.')])
def test_shims_take_an_old_copy_that_lacks_everything(name: str) -> None:
    compat.SHIMS[name](ModuleType(name))


def test_importing_compat_imports_neither_torch_nor_basicsr() -> None:
    code = 'import sys, mg_basicsr.host.patches.compat; sys.exit(not {"torch", "basicsr"}.isdisjoint(sys.modules))'
    subprocess.run([sys.executable, '-c', code], check=True)


# torch


def fake_torch(**attributes: Any) -> ModuleType:
    """A torch whose every call fails as it does without a driver."""

    class DistributedDataParallel:
        def __init__(self, module: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
            self.called_with = (module, device_ids, output_device, dim)

    module = ModuleType('torch')
    module.cuda = ModuleType('torch.cuda')  # type: ignore[attr-defined]
    module.cuda.current_device = module.cuda.set_device = no_gpu
    parallel = SimpleNamespace(DistributedDataParallel=DistributedDataParallel)
    module.nn = SimpleNamespace(parallel=parallel)  # type: ignore[attr-defined]
    module.load = lambda f, map_location=None, **kwargs: (f, map_location, kwargs)  # type: ignore[attr-defined]
    compat.SHIMS['torch'](module)
    compat.SHIMS['torch'](module)
    return module


def test_current_device(gpu: bool) -> None:
    module = fake_torch()
    if gpu:
        for call in (module.cuda.current_device, lambda: module.cuda.set_device(1)):
            with pytest.raises(RuntimeError, match='NVIDIA'):
                call()
    else:
        module.cuda.set_device(device=1)
        assert module.cuda.current_device() == 0


def test_load_to_cpu(gpu: bool) -> None:
    _, location, kwargs = fake_torch().load('x.state', map_location=no_gpu, weights_only=True)
    assert kwargs == {'weights_only': True}
    if gpu:
        with pytest.raises(RuntimeError, match='NVIDIA'):
            location('storage', 'cuda:0')
    else:
        assert location('storage', 'cuda:0') == 'storage'


@pytest.mark.parametrize('location', [None, 'cpu', {'cuda:0': 'cpu'}])
def test_load_leaves_other_locations_alone(location: Any, gpu: bool) -> None:
    load = fake_torch().load
    assert load('x', location) == load('x', map_location=location) == ('x', location, {})


def test_ddp_without_device(gpu: bool) -> None:
    ddp = fake_torch().nn.parallel.DistributedDataParallel
    assert ddp('net', device_ids=[0], output_device=0, dim=1).called_with == (
        ('net', [0], 0, 1) if gpu else ('net', None, None, 1)
    )
    assert ddp('net', [0]).called_with == ('net', [0] if gpu else None, None, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_states_load_without_a_gpu_and_still_refuse_code() -> None:
    def on_gpu(storage: Any, location: str) -> Any:
        return storage.cuda(torch.cuda.current_device())

    def load(thing: Any) -> Any:
        file = io.BytesIO()
        torch.save(thing, file)
        file.seek(0)
        return torch.load(file, map_location=on_gpu)

    assert load({'step': torch.tensor(3)})['step'] == 3
    with pytest.raises(Exception, match=r'weights_only|Weights only'):
        load({'step': Path('x')})


# torch.distributed


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        torch.distributed, 'init_process_group', lambda backend, **kwargs: calls.append((backend, kwargs))
    )
    return calls


def fake_dist_util() -> ModuleType:
    def divides_by_zero(backend: str, port: int | None = None) -> None:
        raise ZeroDivisionError

    module = ModuleType('dist_util')
    module._init_dist_pytorch = module._init_dist_slurm = divides_by_zero  # type: ignore[attr-defined]
    compat.gloo_without_gpu(module)
    return module


def test_gloo_for_torchrun(gpu: bool, joined: list[Any]) -> None:
    if gpu:
        with pytest.raises(ZeroDivisionError):
            fake_dist_util()._init_dist_pytorch('nccl')
    else:
        fake_dist_util()._init_dist_pytorch('nccl', timeout=1)
        fake_dist_util()._init_dist_pytorch('mpi')
        assert joined == [('gloo', {'timeout': 1}), ('mpi', {})]


@pytest.mark.parametrize(
    ('port', 'environment', 'expected'), [(None, None, '29500'), (None, '1234', '1234'), (4321, '1234', '4321')]
)
def test_gloo_for_slurm(
    port: int | None, environment: str | None, expected: str, tmp_path: Path, without_gpu: None, joined: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    scontrol = tmp_path / 'scontrol'
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[3-4]" ] && printf "node3\\nnode4\\n"\n')
    scontrol.chmod(0o755)
    slurm = {'SLURM_PROCID': '5', 'SLURM_NTASKS': '8', 'SLURM_NODELIST': 'node[3-4]', 'SLURM_LOCALID': '1'}
    given_port = {} if environment is None else {'MASTER_PORT': environment}
    monkeypatch.setattr(os, 'environ', {'PATH': f'{tmp_path}:{os.environ["PATH"]}', **slurm, **given_port})

    fake_dist_util()._init_dist_slurm('nccl', port=port)
    assert joined == [('gloo', {})]
    address = {name: os.environ[name] for name in ('MASTER_ADDR', 'MASTER_PORT', 'WORLD_SIZE', 'RANK', 'LOCAL_RANK')}
    assert address == {
        'MASTER_ADDR': 'node3', 'MASTER_PORT': expected, 'WORLD_SIZE': '8', 'RANK': '5', 'LOCAL_RANK': '1',
    }  # fmt: skip


# Validation


def fake_base_model() -> ModuleType:
    class BaseModel:
        def __init__(self, device: str) -> None:
            self.device = torch.device(device)

        def validation(self, dataloader: torch.Tensor, current_iter: int = 0) -> Any:
            here = dataloader.to(self.device)
            dataloader.squeeze_(0)
            return here, torch.zeros(3, device='cuda'), here.cuda()

    module = ModuleType('base_model')
    module.BaseModel = BaseModel  # type: ignore[attr-defined]
    compat.SHIMS['basicsr.models.base_model'](module)
    compat.SHIMS['basicsr.models.base_model'](module)
    return module


def test_validation_on_the_cpu_makes_its_tensors_there() -> None:
    frames = torch.rand(1, 2, 3)
    lq, results, cached = fake_base_model().BaseModel('cpu').validation(dataloader=frames, current_iter=1)
    assert lq.shape == (1, 2, 3)
    assert torch.equal(lq[0], frames)
    assert {tensor.device.type for tensor in (lq, results, cached)} == {'cpu'}
    assert frames.to('cpu') is frames  # validation only


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_validation_on_another_device_is_the_hosts_own() -> None:
    with pytest.raises((RuntimeError, AssertionError), match=r'NVIDIA|CUDA'):
        fake_base_model().BaseModel('meta').validation(torch.rand(1, 2))


# Prefetching


def test_prefetch_on_cpu(gpu: bool) -> None:
    class CPUPrefetcher:
        def __init__(self, loader: Any) -> None:
            self.ori_loader = loader
            self.reset()

        def reset(self) -> None:
            self.loader = iter(self.ori_loader)

        def next(self) -> Any:
            return next(self.loader, None)

    class CUDAPrefetcher:
        def __init__(self, loader: Any, opt: Any) -> None:
            no_gpu()

        reset = next = no_gpu

    module = ModuleType('prefetch_dataloader')
    module.CPUPrefetcher, module.CUDAPrefetcher = CPUPrefetcher, CUDAPrefetcher  # type: ignore[attr-defined]
    for _ in range(2):
        compat.prefetch_on_cpu(module)
    if gpu:
        with pytest.raises(RuntimeError, match='NVIDIA'):
            module.CUDAPrefetcher([1, 2], {})
    else:
        prefetcher = module.CUDAPrefetcher([1, 2], {})
        assert [prefetcher.next() for _ in range(3)] == [1, 2, None]
        prefetcher.reset()
        assert prefetcher.next() == 1


# Resuming


@settings(deadline=None, max_examples=25)
@given(iterations=st.sets(st.integers(0, 10**7)))
def test_newest_state_is_the_highest_iteration(iterations: set[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp('training_states')
    for name in [*iterations, 'best', '-1', '7.5', '']:
        (folder / f'{name}.state').touch()
    (folder / '99999999.pth').touch()
    newest = compat.newest_state(folder)
    assert newest == (folder / f'{max(iterations)}.state' if iterations else None)


@pytest.mark.parametrize(
    ('auto_resume', 'states', 'expected'),
    [(True, ['9', '10'], '10.state'), (True, [], None), (False, ['9'], 'chosen.state')],
)
def test_resume_where_saved(auto_resume: bool, states: list[str], expected: str | None, tmp_path: Path) -> None:
    def load_resume_state(opt: dict[str, Any]) -> str | None:
        """As in BasicSR: with auto_resume, what lies below the working directory."""
        return 'lost' if opt['auto_resume'] else opt['path']['resume_state']

    module = ModuleType('train')
    module.load_resume_state = load_resume_state  # type: ignore[attr-defined]
    for _ in range(2):
        compat.resume_where_saved(module)
    for state in states:
        (tmp_path / f'{state}.state').touch()
    opt = {'auto_resume': auto_resume, 'path': {'training_states': str(tmp_path), 'resume_state': 'chosen.state'}}
    found = module.load_resume_state(opt)
    assert found == (str(tmp_path / expected) if auto_resume and expected else expected)
    assert opt['auto_resume'] is auto_resume


# Networks


def test_mirror_flag_is_decided_by_each_clip() -> None:
    class Recurrent:
        is_mirror_extended = False

        def check_if_mirror_extended(self, lqs: str) -> None:
            if lqs == lqs[::-1]:
                self.is_mirror_extended = True

    arch = ModuleType('arch')
    arch.Recurrent = Recurrent  # type: ignore[attr-defined]
    for _ in range(2):
        compat.networks_of_module(arch)
    net = Recurrent()
    flags = []
    for clip in ('abba', 'abcd', 'aa'):
        net.check_if_mirror_extended(clip)
        flags.append(net.is_mirror_extended)
    assert flags == [True, False, True]


@pytest.mark.parametrize('overridden', [True, False])
def test_networks_of_a_model_that_overrides_model_to_device(overridden: bool) -> None:
    """Their classes are found when the model is complete."""

    class BaseModel:
        def model_to_device(self, net: Any) -> Any:
            return net

        def setup_schedulers(self) -> None: ...

    class Flow(torch.nn.Module):
        is_mirror_extended = True

        def check_if_mirror_extended(self, lqs: Any) -> bool:
            return self.is_mirror_extended

    class Model(BaseModel):
        def __init__(self) -> None:
            self.network = self.model_to_device(torch.nn.Sequential(Flow()))
            self.setup_schedulers()

    if overridden:
        Model.model_to_device = lambda self, net: net  # type: ignore[method-assign]
    module = ModuleType('basicsr.models.base_model')
    module.BaseModel = BaseModel  # type: ignore[attr-defined]
    compat.networks_of_model(module)
    assert not Model().network[0].check_if_mirror_extended(None)
