"""Peers that keep encoded images: PNG files, an LMDB of them, an LMDB of cropped sub-images, DALI."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from loading.sets import SCALE, Pixels, Place
from loading.way import Pair, Way, cut, stacked

SIDES = (('LQ', 1), ('GT', SCALE))
SUB_IMAGE, SUB_STEP = 480, 224  # any crop of 256 is inside one of them


class Png(Way):
    """PNG files, as BasicSR reads them, without its conversion to float32."""

    name, label = 'png', 'PNG files, OpenCV'

    def read(self, place: Place) -> Pair:
        """Decodes whole frames."""
        sides = []
        for side, scale in SIDES:
            frames = range(place.first, place.first + place.frames)
            images = (cv2.imread(str(self.clips.path(side, place.clip, frame))) for frame in frames)
            sides.append(stacked([cut(image, place, scale)[:, :, ::-1] for image in images]))
        return sides[0], sides[1]

    @property
    def files(self) -> list[Any]:
        """Those of the set itself."""
        return sorted(self.clips.root.glob('*/*/*.png'))


class Lmdb(Way):
    """LMDB of the PNG files, as BasicSR's `create_lmdb` makes it."""

    name, label = 'lmdb', 'LMDB of PNGs'

    def build(self) -> None:
        """Puts the files as they are."""
        with _writing(self.folder) as transaction:
            for side, _ in SIDES:
                for clip in range(len(self.clips.names)):
                    for frame in range(self.clips.frames):
                        key = f'{side}/{clip}/{frame}'.encode()
                        transaction.put(key, self.clips.path(side, clip, frame).read_bytes())

    def open(self) -> None:
        """Opens the database."""
        import lmdb

        self.environment = lmdb.open(str(self.folder), readonly=True, lock=False, readahead=False)

    def read(self, place: Place) -> Pair:
        """Decodes whole frames."""
        sides = []
        with self.environment.begin(buffers=True) as transaction:
            for side, scale in SIDES:
                frames = range(place.first, place.first + place.frames)
                values = (transaction.get(f'{side}/{place.clip}/{frame}'.encode()) for frame in frames)
                images = (cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR) for value in values)
                sides.append(stacked([cut(image, place, scale)[:, :, ::-1] for image in images]))
        return sides[0], sides[1]

    def close(self) -> None:
        """Closes it."""
        self.environment.close()


class SubImages(Lmdb):
    """LMDB of PNGs of overlapping sub-images, as BasicSR's `extract_subimages` makes them."""

    name, label = 'sub', 'LMDB of sub-images'

    def build(self) -> None:
        """Cuts and encodes them."""
        with _writing(self.folder) as transaction:
            for side, scale in SIDES:
                edge = SUB_IMAGE // SCALE * scale
                for clip in range(len(self.clips.names)):
                    for frame, image in enumerate(self.clips.read(side, clip)):
                        for row, top in enumerate(self._starts(self.clips.height)):
                            for column, left in enumerate(self._starts(self.clips.width)):
                                y, x = top // SCALE * scale, left // SCALE * scale
                                part = np.ascontiguousarray(image[y : y + edge, x : x + edge, ::-1])
                                data = cv2.imencode('.png', part)[1].tobytes()
                                transaction.put(f'{side}/{clip}/{frame}/{row}/{column}'.encode(), data)

    def read(self, place: Place) -> Pair:
        """Decodes the sub-image that the crop is in."""
        (row, top), (column, left) = (
            next((n, start) for n, start in enumerate(self._starts(length)) if start + SUB_IMAGE >= end)
            for length, end in (
                (self.clips.height, SCALE * place.top + place.size),
                (self.clips.width, SCALE * place.left + place.size),
            )
        )
        inside = place._replace(top=place.top - top // SCALE, left=place.left - left // SCALE)
        sides = []
        with self.environment.begin(buffers=True) as transaction:
            for side, scale in SIDES:
                frames = range(place.first, place.first + place.frames)
                keys = (f'{side}/{place.clip}/{frame}/{row}/{column}'.encode() for frame in frames)
                values = (np.frombuffer(transaction.get(key), np.uint8) for key in keys)
                images = (cv2.imdecode(value, cv2.IMREAD_COLOR) for value in values)
                sides.append(stacked([cut(image, inside, scale)[:, :, ::-1] for image in images]))
        return sides[0], sides[1]

    def _starts(self, length: int) -> list[int]:
        return [*range(0, length - SUB_IMAGE, SUB_STEP), length - SUB_IMAGE]


class Dali(Png):
    """DALI on the CPU: whole frames are decoded, since PNG has no parts."""

    name, label, shares = 'dali', 'DALI, CPU', True

    def open(self) -> None:
        """Makes a pipeline for encoded images that are given to it."""
        from nvidia.dali import fn, pipeline_def, types

        @pipeline_def(batch_size=64, num_threads=1, device_id=None, prefetch_queue_depth=1)
        def decoding() -> Any:
            return fn.decoders.image(fn.external_source(name='encoded', no_copy=True), output_type=types.RGB)

        self.pipeline = decoding(exec_async=False, exec_pipelined=False)
        self.pipeline.build()

    def read(self, place: Place) -> Pair:
        """Decodes whole frames."""
        sides: list[Pixels] = []
        for side, scale in SIDES:
            frames = range(place.first, place.first + place.frames)
            paths = (self.clips.path(side, place.clip, frame) for frame in frames)
            encoded = [np.fromfile(path, np.uint8) for path in paths]
            (decoded,) = self.pipeline.run(encoded=encoded)
            sides.append(stacked([cut(np.asarray(decoded.at(n)), place, scale) for n in range(place.frames)]))
        return sides[0], sides[1]


def _writing(folder: Any) -> Any:
    import lmdb

    folder.mkdir(parents=True, exist_ok=True)
    return lmdb.open(str(folder), map_size=1 << 36).begin(write=True)
