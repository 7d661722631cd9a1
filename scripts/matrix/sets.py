"""Sets of the matrix: a Python, a distribution of BasicSR, and the libraries beside it."""

from __future__ import annotations

from typing import NamedTuple

NEWEST_TORCH = ('torch==2.14.1', 'torchvision==0.29.1')  # the newest pair: torchvision has no release for torch 2.15
OLDEST_TORCH = ('torch==2.0.1', 'torchvision==0.15.2')
CLONE = 'clone'


class Set(NamedTuple):
    """One environment.

    Attributes:
        name: Name on the command line, and of the folder of the environment.
        python: Version of Python, as `3.11`.
        basicsr: Requirement of a distribution that imports as basicsr; 'clone' for BasicSR's repository, not built.
        torch: Requirements of torch and torchvision, a pair.
        libraries: Requirements of NumPy, OpenCV and setuptools; what is not named is the newest.
    """

    name: str
    python: str
    basicsr: str
    torch: tuple[str, str]
    libraries: tuple[str, ...]


SETS = {
    found.name: found
    for found in (
        Set('newest', '3.14', 'new-basicsr==1.0.0', NEWEST_TORCH, ('opencv-python>=5',)),
        Set(
            'oldest',
            '3.10',
            'basicsr==1.4.2',
            OLDEST_TORCH,
            ('numpy==1.23.5', 'opencv-python==4.6.0.66', 'setuptools==65.5.0'),
        ),
        Set('3.13', '3.13', 'new-basicsr==1.0.0', NEWEST_TORCH, ('opencv-python>=5',)),
        Set('3.12', '3.12', 'new-basicsr==1.0.0', NEWEST_TORCH, ('numpy<2', 'opencv-python<4.11')),
        Set('1.4.2', '3.11', 'basicsr==1.4.2', NEWEST_TORCH, ('opencv-python>=5', 'setuptools<81')),
        Set('1.3', '3.11', 'basicsr==1.3.5', NEWEST_TORCH, ('numpy<2', 'opencv-python<4.11', 'setuptools<81')),
        Set('fixed', '3.11', 'basicsr-fixed==1.4.2', NEWEST_TORCH, ('opencv-python>=5', 'setuptools<81')),
        Set('clone', '3.11', CLONE, NEWEST_TORCH, ('opencv-python>=5',)),
    )
}
EDGES = ('oldest', 'newest')  # those that .ci/run takes where their environments have been kept
