"""Image pairs, from a list, folders or LMDBs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, SIZE, block, lmdb_block, picture, to_lmdb, write_pair

NAMES = ['a.png', 'b.c.png', 'd.png']


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        write_pair(tmp_path, name, picture(0, number))
    return tmp_path


def images(root: Path, **changes: Any) -> PairedImage:
    return PairedImage(TrainSetOptions.parse(block(root, **{'meta_info_file': None, **changes}), SCALE))


def test_folders(pairs: Path) -> None:
    (pairs / 'GT' / '.hidden').touch()
    dataset = images(pairs)
    assert [dataset.key(index) for index in range(len(dataset))] == NAMES
    sample = dataset[SampleRequest(1, 1, 24, 0)]
    assert sorted(sample) == ['gt', 'gt_path', 'lq', 'lq_path']
    assert (sample['lq'].shape, sample['gt'].shape) == ((3, 6, 6), (3, 24, 24))
    assert (sample['lq_path'], sample['gt_path']) == (str(pairs / 'LQ/b.c.png'), str(pairs / 'GT/b.c.png'))
    assert sample['gt'].dtype == torch.uint8
    assert int(sample['gt'][0, 0, 0]) == 1


def test_a_list_with_a_template(tmp_path: Path) -> None:
    """As in BasicSR, GT images may lie in folders of their own, LQ images not."""
    write_pair(tmp_path, 'sub/a.png', picture(0, 7), lq_name='ax4.png')
    meta = tmp_path / 'meta.txt'
    for line in ('sub/a.png (48,64,3)\n', 'sub/a.png\n'):
        meta.write_text(line)
        dataset = images(tmp_path, meta_info_file=str(meta), filename_tmpl='{}x4')
        sample = dataset[SampleRequest(0, 1, 48, 0)]
        assert (sample['lq_path'], sample['gt_path']) == (str(tmp_path / 'LQ/ax4.png'), str(tmp_path / 'GT/sub/a.png'))
        assert int(sample['gt'][0, 0, 0]) == int(sample['lq'][0, 0, 0]) == 7
        dataset.check(1, 48)
        dataset.check_files()


def test_lmdbs_give_the_same_samples(pairs: Path) -> None:
    """Keys end at a name's first dot in BasicSR's LMDBs, so these names have only one."""
    for side in ('GT', 'LQ'):
        (pairs / side / 'b.c.png').rename(pairs / side / 'b.png')
    target = to_lmdb(pairs, pairs / 'databases')
    databases = PairedImage(TrainSetOptions.parse(lmdb_block(pairs, target, meta_info_file=None), SCALE))
    folders = images(pairs)
    databases.check_files()
    assert [databases.key(index) for index in range(3)] == ['a', 'b', 'd']
    for seed in range(10):
        request = SampleRequest(seed % 3, 1, 16, seed)
        one, other = folders[request], pickle.loads(pickle.dumps(databases))[request]
        assert torch.equal(one['lq'], other['lq'])
        assert torch.equal(one['gt'], other['gt'])
        assert other['lq_path'] == other['gt_path'] == databases.key(seed % 3)


def test_images_of_other_formats(tmp_path: Path) -> None:
    """Their size is not in the first bytes: they are decoded for it."""
    for side, step in (('GT', 1), ('LQ', SCALE)):
        (tmp_path / side).mkdir()
        cv2.imwrite(str(tmp_path / side / 'a.bmp'), picture(0, 3)[::step, ::step])
    dataset = images(tmp_path)
    assert dataset.source.gt_shape(dataset.keys.sequences[0]) == SIZE
    assert dataset[SampleRequest(0, 1, 48, 0)]['gt'].shape == (3, 48, 48)


def test_a_bare_index(pairs: Path) -> None:
    sample = images(pairs)[2]
    assert (sample['gt'].shape, sample['gt'].dtype) == ((3, 16, 16), torch.float32)
    assert sample['gt_path'].endswith('d.png')
    with pytest.raises(IndexError):
        images(pairs)[3]


def test_images_that_do_not_pair_up(pairs: Path) -> None:
    (pairs / 'LQ' / 'a.png').rename(pairs / 'LQ' / 'e.png')
    with pytest.raises(DataError, match=r'^datasets.train.dataroot_lq: a.png has no LQ image of its name'):
        images(pairs)
    (pairs / 'GT' / 'a.png').unlink()
    with pytest.raises(DataError, match=r'^datasets.train.dataroot_gt: e.png has no GT image of its name'):
        images(pairs)


def test_lmdbs_that_do_not_pair_up(pairs: Path) -> None:
    target = to_lmdb(pairs, pairs / 'databases')
    options = TrainSetOptions.parse(lmdb_block(pairs, target, meta_info_file=None), SCALE)
    (target / 'LQ.lmdb' / 'meta_info.txt').write_text('a.png (12,16,3) 1\n')
    with pytest.raises(DataError, match=r'^datasets.train.dataroot_lq: b is a key of only one of the two LMDBs'):
        PairedImage(options)
    with pytest.raises(ConfigError, match=r'^datasets.train.dataroot_gt: .* is not named like an LMDB'):
        PairedImage(options.replace(dataroot_gt=str(pairs / 'GT')))
    (target / 'LQ.lmdb' / 'meta_info.txt').unlink()
    with pytest.raises(ConfigError, match=r'^datasets.train.dataroot_lq: .*meta_info.txt does not exist'):
        PairedImage(options)


def test_images_that_are_too_small(pairs: Path) -> None:
    write_pair(pairs, 'b.c.png', picture(0, 0, (12, 64)))
    dataset = images(pairs)
    dataset.check(1, 16)  # no list tells the sizes
    for fails in (dataset.check_files, lambda: dataset[SampleRequest(1, 1, 16, 0)]):
        with pytest.raises(DataError, match=r'b.c.png has GT frames of 12x64 pixels, smaller than crops of 16'):
            fails()


def test_a_damaged_image_is_named(pairs: Path) -> None:
    (pairs / 'GT' / 'a.png').write_bytes(b'')
    for fails in (images(pairs).check_files, lambda: images(pairs)[0]):
        with pytest.raises(DataError) as error:
            fails()
        assert (
            str(error.value.problems[0]).partition('\n')[0]
            == f'GT frame {pairs / "GT" / "a.png"} cannot be decoded (0 bytes)'
        )


def test_a_missing_image_of_a_list(pairs: Path) -> None:
    (pairs / 'meta.txt').write_text('a.png (48,64,3)\nz.png (48,64,3)\n')
    dataset = images(pairs, meta_info_file=str(pairs / 'meta.txt'))
    with pytest.raises(DataError, match=r'LQ frame .*z.png does not exist'):
        dataset.check_files()
    with pytest.raises(DataError, match=r'LQ frame .*z.png does not exist'):
        dataset[1]


def test_nothing_listed(tmp_path: Path) -> None:
    (tmp_path / 'GT').mkdir()
    (tmp_path / 'LQ').mkdir()
    with pytest.raises(DataError, match='lists no image'):
        images(tmp_path)
    with pytest.raises(ConfigError, match=r'datasets.train.dataroot_gt: no cannot be listed'):
        images(tmp_path, dataroot_gt='no')


@pytest.mark.parametrize(('key', 'value'), [('color', 'y'), ('mean', [0.5] * 3), ('std', [0.5] * 3)])
def test_conversions_are_refused(pairs: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf'^datasets.train.{key}: .*(?s:.)*MultigridDataset'):
        images(pairs, **{key: value})


def test_images_have_one_frame(pairs: Path) -> None:
    with pytest.raises(ConfigError, match='images are clips of 1 frame, not 3'):
        images(pairs).check(3, 16)
