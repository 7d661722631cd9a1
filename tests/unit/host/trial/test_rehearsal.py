"""What the host does besides training steps is tried before anything is written."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from torch import nn

from tests.helpers.start import problems_at_start
from tests.helpers.stock_files import ABSENT, changed, recipe

IMAGES = 'image'  # the quickest recipe


def refused(kind: str, data: Path, folder: Path, **changes: Any) -> dict[str, str]:
    """The problems' texts by option, of a recipe with other values (`__` for a dot)."""
    options = recipe(kind, data)
    for place, value in changes.items():
        options = changed(options, tuple(place.split('__')), value)
    problems = problems_at_start(options, folder)
    return {problem.option: str(problem) for problem in problems}


@pytest.mark.parametrize(
    ('kind', 'changes', 'option', 'value'),
    [
        ('recurrent_reds', {'val__save_img': True}, 'val.save_img', 'true'),
        ('recurrent_reds', {'datasets__val__cache_data': False}, 'datasets.val.cache_data', 'false'),
        ('recurrent_reds', {'datasets__val__name': 'Own'}, 'datasets.val.name', 'Own'),
        ('recurrent_vimeo', {'datasets__val__cache_data': True}, 'datasets.val.cache_data', 'true'),
        ('edvr', {'datasets__val__padding': 'mirror'}, 'datasets.val.padding', 'mirror'),
        ('edvr', {'datasets__val__num_frame': 3}, 'datasets.val.num_frame', '3'),
        (IMAGES, {'val__metrics__psnr__type': 'calculate_psrn'}, 'val.metrics.psnr.type', 'calculate_psrn'),
        (IMAGES, {'val__metrics__psnr__crop_border': ABSENT}, 'val.metrics.psnr.crop_border', 'missing'),
        (IMAGES, {'datasets__val__io_backend': ABSENT}, 'datasets.val.io_backend', 'missing'),
        (IMAGES, {'datasets__val__type': 'NoSet'}, 'datasets.val.type', 'NoSet'),
        (IMAGES, {'network_g__num_feat': 'many'}, 'network_g.num_feat', 'many'),
        (IMAGES, {'network_g__features': 8}, 'network_g.features', '8'),
        (IMAGES, {'train__pixel_opt__reduction': 'median'}, 'train.pixel_opt.reduction', 'median'),
        (IMAGES, {'train__optim_g__type': 'Adma'}, 'train.optim_g.type', 'Adma'),
        (IMAGES, {'model_type': 'NoModel'}, 'model_type', 'NoModel'),
    ],
)
def test_what_fails_names_option_and_value(
    data: Path, tmp_path: Path, kind: str, changes: dict[str, Any], option: str, value: str
) -> None:
    problems = refused(kind, data, tmp_path, **changes)
    assert list(problems) == [option], problems
    assert value in problems[option].splitlines()[0]
    assert len(problems[option].splitlines()) == 3


def test_all_mistakes_of_a_model_and_of_its_validation_at_once(data: Path, tmp_path: Path) -> None:
    parts = {'network_g__num_feat': 'many', 'train__pixel_opt__reduction': 'median', 'train__optim_g__betas': 3}
    assert set(refused(IMAGES, data, tmp_path, **parts)) == {
        'network_g.num_feat', 'train.pixel_opt.reduction', 'train.optim_g.betas',
    }  # fmt: skip
    validation = {'val__metrics__psnr__type': 'no', 'val__save_img': True, 'datasets__val__name': 'Own'}
    assert set(refused('recurrent_reds', data, tmp_path, **validation)) == {
        'val.metrics.psnr.type', 'val.save_img', 'datasets.val.name',
    }  # fmt: skip


def test_several_validation_sets_of_a_video_model(data: Path, tmp_path: Path) -> None:
    options = recipe('edvr', data)
    options['datasets']['val_2'] = {**options['datasets']['val'], 'meta_info_file': str(tmp_path / 'two.txt')}
    (tmp_path / 'two.txt').write_text('002 37 (96,128,3)\n')
    problems = problems_at_start(options, tmp_path)
    assert [problem.option for problem in problems] == ['datasets.val_2'], problems


def registered(registry: str, name: str, make: Callable[[], Any]) -> Any:
    """Register a class with BasicSR once; later tests of this process get the same."""
    from basicsr.utils import registry as registries

    known = getattr(registries, registry)
    if name not in known:
        known._do_register(name, make())
    return known.get(name)


def windowed() -> type[nn.Module]:
    from basicsr.archs.srresnet_arch import MSRResNet

    class WindowNet(MSRResNet):
        def forward(self, x: torch.Tensor) -> Any:
            assert x.shape[-1] % 16 == 0, 'windows of 16 pixels'
            return super().forward(x)

    return WindowNet


def test_a_network_that_does_not_take_the_frames_of_a_set(data: Path, tmp_path: Path) -> None:
    """LQ frames of 24x32 pixels are divisible by 8, not by 16; those of the plan are 16 pixels wide."""
    registered('ARCH_REGISTRY', 'WindowNet', windowed)
    options = changed(recipe(IMAGES, data), ('network_g', 'type'), 'WindowNet')
    for name in ('GT', 'LQ'):
        options['datasets']['val'][f'dataroot_{name.lower()}'] = str(tmp_path / name)
        edge = 4 if name == 'GT' else 1
        (tmp_path / name).mkdir()
        for image in sorted((data / 'images' / name).iterdir()):
            pixels = cv2.imread(str(image))
            cv2.imwrite(str(tmp_path / name / image.name), cv2.resize(pixels, (72 * edge, 72 * edge)))
    options['datasets']['val']['meta_info_file'] = None
    problems = problems_at_start(options, tmp_path)
    assert [problem.option for problem in problems] == ['datasets.val'], problems
    assert 'the network fails for frames of the size of this set' in str(problems[0])


def own_set() -> type:
    class OwnValidationSet(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __init__(self, opt: dict[str, Any]) -> None:
            self.opt = opt

        def __len__(self) -> int:
            return 1000

        def __getitem__(self, index: int) -> dict[str, Any]:
            assert index == 0, 'only the first sample is read'
            if self.opt.get('broken'):
                raise OSError('no such sample')
            return {'lq': torch.rand(3, 24, 32), 'gt': torch.rand(3, 96, 128), 'lq_path': 'a.png', 'gt_path': 'a.png'}

    return OwnValidationSet


@pytest.mark.parametrize('broken', [False, True])
def test_a_set_of_a_repository_is_read_once(data: Path, tmp_path: Path, broken: bool) -> None:
    registered('DATASET_REGISTRY', 'OwnValidationSet', own_set)
    options = recipe(IMAGES, data)
    options['datasets']['val'] = {'name': 'own', 'type': 'OwnValidationSet', 'broken': broken}
    problems = problems_at_start(options, tmp_path)
    assert [problem.option for problem in problems] == ['datasets.val'] * broken, problems


def unsaved() -> type:
    from basicsr.models.sr_model import SRModel

    class UnsavedModel(SRModel):
        def save(self, epoch: int, current_iter: int) -> None:
            torch.save({'f': lambda: None}, f'{self.opt["path"]["models"]}/net_g_{current_iter}.pth')
            self.save_training_state(epoch, current_iter)

    return UnsavedModel


def unresumable() -> type:
    from basicsr.models.sr_model import SRModel

    class UnresumableModel(SRModel):
        def resume_training(self, resume_state: Any) -> None:
            raise RuntimeError('cannot go on')

    return UnresumableModel


@pytest.mark.parametrize(('name', 'make', 'why'), [
    ('UnsavedModel', unsaved, 'cannot be saved'),
    ('UnresumableModel', unresumable, 'cannot go on'),
])  # fmt: skip
def test_a_save_and_a_load_are_tried(data: Path, tmp_path: Path, name: str, make: Any, why: str) -> None:
    registered('MODEL_REGISTRY', name, make)
    problems = problems_at_start(changed(recipe(IMAGES, data), ('model_type',), name), tmp_path)
    assert [problem.option for problem in problems] == ['model_type'] and why in str(problems[0])


def test_no_trace(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import basicsr.utils.logger as loggers

    logging.getLogger('basicsr').handlers.clear()
    loggers.initialized_logger.clear()
    options = recipe(IMAGES, data)
    kept = copy.deepcopy(options)
    assert problems_at_start(options, tmp_path) == ()
    torch.manual_seed(0)  # as the host's parse_options
    expected = torch.rand(3)
    assert problems_at_start(options, tmp_path) == ()
    assert torch.equal(torch.rand(3), expected)  # the host has seeded, and the rehearsal has drawn nothing
    assert options == kept
    printed = capfd.readouterr()
    assert set(printed.out.splitlines()) <= {'Disable distributed.'} and not printed.err
    assert not loggers.initialized_logger and not logging.getLogger('basicsr').handlers
    assert logging.root.manager.disable == 0
