"""Decoder of one side of a data set, GT, LQ or flow, that is kept as image files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NoReturn, cast

import cv2
import numpy as np

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.byte_files import ByteFiles, Folder, LmdbFolder
from mg_basicsr.data.sources.origin import Origin, origin_of
from mg_basicsr.errors import DataError, Problem
from mg_basicsr.train_set import BLOCK, TrainSetOptions

PNG_START = b'\x89PNG\r\n\x1a\n'
HEADER_BYTES = 24  # of a PNG: signature, length and name of the first chunk, width, height
ORIENTATION = b'eXIf'  # chunk anywhere in a PNG by which OpenCV may turn the image, as it does in BasicSR


def png_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width in pixels that the header of a PNG names; None if the bytes do not begin with one.

    Args:
        data: The file, or its first HEADER_BYTES.
    """
    if not data.startswith(PNG_START) or len(data) < HEADER_BYTES:
        return None
    return int.from_bytes(data[20:24], 'big'), int.from_bytes(data[16:20], 'big')


class Expected(NamedTuple):
    """Size that a frame must have.

    Attributes:
        height: In pixels.
        width: In pixels.
        reason: Why, for the message of an error.
    """

    height: int
    width: int
    reason: str


def lq_size(sequence: FrameSequence, scale: int) -> Expected:
    """Return the size of a sequence's LQ frames.

    Args:
        sequence: The sequence, with its GT size.
        scale: GT pixels per LQ pixel and axis.
    """
    reason = f'since its GT is {sequence.height}x{sequence.width} and scale is {scale}'
    return Expected(sequence.height // scale, sequence.width // scale, reason)


class EncodedSide:
    """Encoded frames of one side.

    Args:
        label: Name of the side in messages: GT, LQ or Flow.
        files: The encoded frames.
    """

    def __init__(self, label: str, files: ByteFiles) -> None:
        self._label = label
        self._files = files

    def decode(self, sequence: FrameSequence, name: str, expected: Expected | None, grey: bool = False) -> Pixels:
        """Decode a whole frame.

        Args:
            sequence: The sequence, for messages.
            name: Name of the frame in the files.
            expected: Size that the frame must have; None for any.
            grey: Decode to one channel.

        Returns:
            uint8 (h, w, 3) in OpenCV's order BGR, or (h, w) if grey.

        Raises:
            DataError: the frame is missing, cannot be read or decoded, or is not of the expected size.
        """
        data = self._load(sequence, name)
        try:
            flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        except cv2.error:  # no data at all, or a header with an absurd size
            image = None
        if image is None:
            self._fail(sequence, name, f'cannot be decoded ({len(data)} bytes)', 'an undamaged image file')
        if expected and image.shape[:2] != expected[:2]:
            self._fail(
                sequence,
                name,
                f'is {image.shape[0]}x{image.shape[1]} pixels (height x width)',
                f'{expected.height}x{expected.width}, {expected.reason}',
                f'check scale, {self._files.option} and {BLOCK}.meta_info_file',
            )
        return cast(Pixels, image)

    def shape(self, sequence: FrameSequence, name: str) -> tuple[int, int]:
        """Return height and width of a decoded frame in pixels.

        They are taken from the header of a PNG without orientation; other files are decoded.

        Args:
            sequence: The sequence, for messages.
            name: Name of the frame in the files.

        Raises:
            DataError: the frame is missing, or cannot be read or decoded.
        """
        data = self._load(sequence, name)
        if ORIENTATION not in data and (size := png_size(data)):
            return size
        height, width = self.decode(sequence, name, None).shape[:2]
        return height, width

    def missing(self, sequence: FrameSequence, names: Sequence[str]) -> list[Problem]:
        """Return a problem, which names the first, if frames of a sequence do not exist. None is read.

        Args:
            sequence: The sequence, for messages.
            names: Names of its frames in the files.
        """
        try:
            missing = self._files.missing(names)
        except OSError as error:
            return [self._problem(sequence, names[0], f'cannot be looked up: {error}', 'readable files')]
        if not missing:
            return []
        return [self._missing(sequence, missing[0], f'{len(missing)} of {len(names)} frames are missing: ')]

    def absent(self, names: Sequence[str]) -> list[str]:
        """Return those of these names that do not exist, in order.

        Raises:
            OSError: the files cannot be looked up.
        """
        return self._files.missing(names)

    def origin(self, names: Sequence[str]) -> Origin:
        """Return the origin of a clip that is made from frames of these names.

        Raises:
            OSError: one of them cannot be looked up.
        """
        return origin_of(self._files, names)

    def _load(self, sequence: FrameSequence, name: str) -> bytes:
        try:
            return self._files.read(name)
        except FileNotFoundError:
            raise DataError(self._missing(sequence, name)) from None
        except OSError as error:
            reason = f'cannot be read: {error.strerror or error}'
            raise DataError(self._problem(sequence, name, reason, 'a readable file')) from error

    def _fail(self, sequence: FrameSequence, name: str, wrong: str, allowed: str, remedy: str = '') -> NoReturn:
        raise DataError(self._problem(sequence, name, wrong, allowed, remedy))

    def _missing(self, sequence: FrameSequence, name: str, count: str = '') -> Problem:
        allowed = f'all frames of a clip of {sequence.frames}' if sequence.frames > 1 else 'every listed image'
        there, remedy = self._files.instead(name, sequence.frames)
        wrong = f'does not exist: {there}' if there else 'does not exist'
        remedy = remedy or f'restore it, or check {self._files.option}'
        problem = self._problem(sequence, name, wrong, allowed, remedy)
        return problem._replace(what=count + problem.what)

    def _problem(self, sequence: FrameSequence, name: str, wrong: str, allowed: str, remedy: str = '') -> Problem:
        frame = name.rpartition('/')[2]
        clip = f' (clip {sequence.name}, frame {frame})' if sequence.frames > 1 else ''
        return Problem(
            '',
            f'{self._label} frame {self._files.place(name)}{clip} {wrong}',
            f'allowed: {allowed}',
            remedy or f'restore the file from its source, or remove it from {BLOCK}.meta_info_file',
        )


def open_side(options: TrainSetOptions, key: str, suffix: str = '') -> EncodedSide:
    """Open the folder or LMDB that an option names.

    Args:
        options: The set's options.
        key: `dataroot_gt`, `dataroot_lq` or `dataroot_flow`.
        suffix: Added to the names of files in folders.

    Raises:
        ConfigError: it does not exist.
    """
    root, option = getattr(options, key), f'{BLOCK}.{key}'
    label = {'dataroot_gt': 'GT', 'dataroot_lq': 'LQ', 'dataroot_flow': 'Flow'}[key]
    return EncodedSide(label, LmdbFolder(root, option) if options.backend == 'lmdb' else Folder(root, option, suffix))
