"""What a file is that is no checkpoint, at every length of one that is cut off."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from mg_basicsr.training.checkpoints import file_kinds as kinds
from mg_basicsr.training.checkpoints.safe_loading import DamagedError, load_safely


def load(path: Path) -> object:
    return load_safely(path, lambda: torch.load(path, weights_only=True))


def saved(archive: bool = True) -> bytes:
    stream = io.BytesIO()
    value = {'params': {'weight': torch.ones(3)}}
    torch.save(value, stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


@pytest.mark.parametrize('archive', [True, False], ids=['archive', 'legacy'])
def test_every_length_of_a_file_that_is_cut_off(tmp_path: Path, archive: bool) -> None:
    path, whole = tmp_path / 'x.pth', saved(archive)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError, match=r'cut off|empty|EOF') as caught:
            load(path)
        assert caught.value.remedy == kinds.COPY
    path.write_bytes(whole)
    assert load(path) and kinds.kind_of(path) is None


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
        archive.writestr(name, 'x')
    return stream.getvalue()


PAGE = b'\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>'
POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:' + b'0' * 64 + b'\nsize 1000\n'
HEADER = b'{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


@pytest.mark.parametrize(
    ('content', 'kind'),
    [
        (PAGE, kinds.HTML),
        (b'\xef\xbb\xbf' + PAGE, kinds.HTML),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', kinds.HTML),
        (POINTER, kinds.LFS),
        (b'/annex/objects/MD5E-s10--abc.pth\n', kinds.ANNEX),
        (b'{"message": "Not Found"}', kinds.TEXT),
        (b'404: Not Found', kinds.TEXT),
        (b'\x1f\x8b\x08' + bytes(20), kinds.ARCHIVE),
        (zipped('repository/README.md'), kinds.ARCHIVE),
        (zipped('model/constants.pkl'), kinds.TORCHSCRIPT),
        (pickle.dumps({'params': [1]}), kinds.PICKLE),
        (struct.pack('<Q', len(HEADER)) + HEADER + bytes(4), kinds.SAFETENSORS),
        (b'\x89PNG\r\n\x1a\n' + bytes(40), kinds.OTHER),
        (bytes(1000), kinds.OTHER),
        (b'', kinds.EMPTY),
    ],
    ids=lambda value: value.name[:30] if isinstance(value, kinds.Kind) else '',
)
def test_other_files(tmp_path: Path, content: bytes, kind: kinds.Kind) -> None:
    """Never with the advice to load them as code."""
    path = tmp_path / 'x.pth'
    path.write_bytes(content)
    assert kinds.kind_of(path) == kind
    with pytest.raises(DamagedError) as caught:
        load(path)
    assert kind.name in str(caught.value) and caught.value.remedy == kind.remedy
    assert 'weights_only' not in str(caught.value) + caught.value.remedy


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(DamagedError, match='a pipe'):
        load(tmp_path / 'pipe')
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    assert kinds.kind_of(tmp_path) == kinds.FOLDER and kinds.kind_of(tmp_path / 'missing') is None
