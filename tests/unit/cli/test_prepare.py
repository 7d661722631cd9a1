"""`mg-basicsr prepare`: its arguments, what it says, and that its stores serve training sets."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from mg_basicsr.cli.main import main
from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.store.difficulty import read_difficulty
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, picture, write_pair, write_reds, write_vimeo
from tests.helpers.stock_options import stock

Usage = namedtuple('Usage', 'total used free')


def prepare(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['prepare', *map(str, arguments), '--workers', '1'])
    return int(ended.value.code or 0)


def options_file(path: Path, root: Path, type_: str = 'REDSRecurrentDataset', **changes: Any) -> Path:
    options = {'scale': SCALE, 'datasets': {'train': block(root, type=type_, **changes)}}
    path.write_text(yaml.safe_dump(options))
    return path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_reds(tmp_path / 'set', {'000': 6, '001': 6})


def test_from_an_options_file(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opt, store = options_file(tmp_path / 'x.yml', clips), tmp_path / 'store'
    assert prepare('-opt', opt, '-o', store, '--verify') == 0
    told = capsys.readouterr().out
    assert '2 clips: 0.1 MB to write; ' in told
    assert ' free in ' in told
    assert '2 clips verified' in told
    assert [clip.name for clip in StoreFrames(store).clips] == ['000', '001']  # 000 is for validation
    options = TrainSetOptions.parse(block(clips), SCALE)
    request = SampleRequest(2, 4, 16, 1)
    stored = REDSRecurrent(options, open_store(store, options))[request]
    assert torch.equal(stored['gt'], REDSRecurrent(options)[request]['gt'])


def test_again_says_what_is_done(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ('--gt', clips / 'GT', '--lq', clips / 'LQ', '-o', tmp_path / 'store')
    assert prepare(*arguments) == 0
    capsys.readouterr()
    assert prepare(*arguments) == 0
    assert '2 clips, 2 of them done already: 0.0 MB to write' in capsys.readouterr().out


def test_validation_clips_that_are_elsewhere_are_left_out(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opt, store = options_file(tmp_path / 'x.yml', clips), tmp_path / 'store'
    shutil.rmtree(clips / 'GT/000')
    assert prepare('-opt', opt, '-o', store) == 0
    assert [clip.name for clip in StoreFrames(store).clips] == ['001']
    shutil.rmtree(clips / 'GT/001')
    assert prepare('-opt', opt, '-o', tmp_path / 'other') == 2
    assert 'clip 001' in capsys.readouterr().err


@pytest.mark.parametrize('key', ['multigrid', 'io_backend'])
def test_the_store_that_the_file_names(clips: Path, tmp_path: Path, key: str) -> None:
    store = tmp_path / 'store'
    opt = options_file(tmp_path / 'x.yml', clips)
    options = yaml.safe_load(opt.read_text())
    if key == 'multigrid':
        options = stock(block={'preset': 'lin2022', 'store': str(store)}, changes=options)
        options['datasets']['train']['batch_size_per_gpu'] = 4
    else:
        options['datasets']['train']['io_backend'] = {'type': 'store', 'path': str(store)}
    opt.write_text(yaml.safe_dump(options))
    assert prepare('-opt', opt, '--compress') == 0
    assert StoreFrames(store).header.codec == 'zstd'


@pytest.mark.parametrize(('names', 'flags'), [('reds', []), ('reds', ['--layout', 'reds']), ('vimeo', [])])
def test_folders(tmp_path: Path, names: str, flags: list[str]) -> None:
    """Names of frames are read from the disk: sets like Vimeo-90K need no flag."""
    root = tmp_path / 'set'
    if names == 'reds':
        write_reds(root, {'001': 12, '002': 3})
    else:
        write_vimeo(root, ['00001/0001', '00002/0001'], frames=11)  # im10 comes after im9
    store = tmp_path / 'store'
    assert prepare('--gt', root / 'GT', '--lq', root / 'LQ', *flags, '-o', store) == 0
    assert (store / 'meta_info.txt').read_text() == (root / 'meta.txt').read_text()
    frames = StoreFrames(store)
    first = next(iter(frames.clips)).sequence
    out = np.empty((first.frames, 3, 4, 4), np.uint8)
    frames.read_gt(first, range(first.frames), Window(0, 0, 4), Flips(), out)
    start = 0 if names == 'reds' else 1
    assert out[:, 0, 0, 0].tolist() == list(range(start, start + first.frames))


def test_images(tmp_path: Path) -> None:
    for number in range(3):
        write_pair(tmp_path, f'{number}.png', picture(0, number, (24 + 4 * number, 48)))
    store = tmp_path / 'store'
    assert prepare('--gt', tmp_path / 'GT', '--lq', tmp_path / 'LQ', '--layout', 'images', '-o', store) == 0
    assert [clip.sequence for clip in StoreFrames(store).clips] == [(f'{n}.png', 1, 24 + 4 * n, 48) for n in range(3)]


def test_difficulty_is_noted_at_any_time(clips: Path, tmp_path: Path) -> None:
    store = tmp_path / 'store'
    arguments = ('--gt', clips / 'GT', '--lq', clips / 'LQ', '-o', store)
    assert prepare(*arguments) == 0
    assert not read_difficulty(store)
    assert prepare(*arguments, '--difficulty') == 0
    assert list(read_difficulty(store)) == [clip.name for clip in StoreFrames(store).clips]


def test_made_lq(clips: Path, tmp_path: Path) -> None:
    store = tmp_path / 'store'
    assert prepare('--gt', clips / 'GT', '--degradation', 'bd', '-o', store) == 0
    assert StoreFrames(store).header.degradation == 'bd'
    assert prepare('--gt', clips / 'GT', '--lq', clips / 'LQ', '-o', store) == 2


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        ('-o s', '-opt: either this or --gt'),
        ('-opt x.yml --gt GT --lq LQ -o s', '-opt: either this or --gt'),
        ('--gt GT -o s', '--gt: LQ is missing'),
        ('--gt GT --lq LQ', '-o: missing'),
        ('--gt GT --lq LQ --degradation bd -o s', '--lq: excludes --degradation'),
        ('--gt GT GT --lq LQ -o s', '--gt: more than one path'),
        ('--gt GT --lq LQ -o s --scale 0', '--scale: 0'),
        ('--gt GT --lq LQ -o s --clip-length 5', '--clip-length: for videos only'),
        ('-opt x.yml -o s --layout reds', '--layout: the options file says it'),
        ('--gt film.mp4 --degradation bd -o s --layout images', '--layout: not for videos'),
        ('--gt GT --lq LQ -o s --layout vimeo', "argument --layout: invalid choice: 'vimeo'"),
        ('--gt nowhere --lq LQ -o s', '--gt: nowhere is not a folder'),
        ('--gt GT --lq nowhere -o s', '--lq: nowhere is not a folder'),
        ('--gt nowhere.lmdb --lq LQ -o s', '--gt: nowhere.lmdb is not an LMDB folder'),
        ('--gt empty --lq LQ -o s', '--gt empty: no images'),
        ('--gt GT/000 --lq LQ -o s', 'images that are in no clip'),
        ('--gt GT --degradation bd --scale 2 -o s', '--degradation: bd is not defined for scale 2'),
        ('--gt GT --lq LQ --scale 5 -o s', '--gt GT: 000 has GT frames of 48x64 pixels, not divisible by scale: 5'),
        ('--gt GT --lq LQ -o GT', '-o GT: not empty and not a store'),
        ('--gt film.mp4 --degradation bd -o s', 'video film.mp4 does not exist'),
        ('-opt nowhere.yml -o s', '-opt nowhere.yml'),
    ],
)
def test_mistakes(
    clips: Path, arguments: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clips)
    (clips / 'empty').mkdir()
    options_file(clips / 'x.yml', clips)
    assert prepare(*arguments.split()) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert 'Traceback' not in captured.err
    assert not (clips / 's').exists()


def test_mistakes_with_an_options_file(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for changes, told in (
        ({'type_': 'SomebodysDataset'}, 'SomebodysDataset reads its files itself'),
        ({'dataroot_lq': str(tmp_path / 'no')}, 'dataroot_lq: '),
        ({'meta_info_file': 'no.txt'}, 'no.txt does not exist'),
    ):
        opt = options_file(tmp_path / 'x.yml', clips, **changes)
        assert prepare('-opt', opt, '-o', tmp_path / 'store') == 2
        assert told in capsys.readouterr().err
    opt = options_file(tmp_path / 'x.yml', clips, 'PairedImageDataset', mean=[0.5, 0.5, 0.5], std=[1, 1, 1])
    assert prepare('-opt', opt, '-o', tmp_path / 'store') == 2
    assert 'PairedImageDataset with color, mean or std reads its files itself' in capsys.readouterr().err
    opt.write_text(yaml.safe_dump({**yaml.safe_load(opt.read_text()), 'multigrid': {'presett': 'lin2022'}}))
    assert prepare('-opt', opt, '-o', tmp_path / 'store') == 2
    assert 'multigrid.presett' in capsys.readouterr().err
    assert prepare('-opt', options_file(tmp_path / 'x.yml', clips)) == 2
    assert '-o: missing' in capsys.readouterr().err


def test_a_disk_that_is_too_small(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(10**9, 0, 10**6))
    store = tmp_path / 'store'
    assert prepare('--gt', clips / 'GT', '--lq', clips / 'LQ', '-o', store) == 2
    told = capsys.readouterr().err
    assert '0.1 MB needed, 1.0 MB free' in told
    assert 'or add --compress' in told
    assert not (store / 'clips').exists()


def test_a_bad_frame_leaves_the_rest(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clips / 'GT' / '000' / '00000003.png'
    cv2.imwrite(str(path), cv2.imread(str(path))[:-4])
    store = tmp_path / 'store'
    assert prepare('--gt', clips / 'GT', '--lq', clips / 'LQ', '-o', store) == 2
    assert f'{path} (clip 000, frame 00000003.png) is 44x64 pixels' in capsys.readouterr().err
    assert [clip.name for clip in StoreFrames(store).clips] == ['001']
